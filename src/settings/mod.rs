//! The module's configuration: what an administrator may write, checked and given its types.

mod auth;
pub mod duration;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod provisioning;
mod section;
#[cfg(test)]
mod tests;
mod tls;
mod vault;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

pub use provisioning::ProvisioningSettings;
use section::Section;
pub use vault::VaultSettings;

use crate::user_id::is_printable;

/// Environment variables, as they were when the configuration was read.
pub type Environment = HashMap<String, String>;

/// What is wrong with one key of the configuration, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct SettingsError {
    /// The key, dotted where it lies inside another.
    pub key: String,
    /// What is allowed there. Never holds the value of a secret.
    pub message: String,
}

impl SettingsError {
    fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: printable(&key.into()), message: printable(&message.into()) }
    }
}

/// Shows what does not print by its number: it may be what is wrong with a path that is quoted.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        if is_printable(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
        shown
    })
}

/// The whole configuration of the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How Vault is reached and where the secrets lie in it.
    pub vault: VaultSettings,
    /// All that one login may spend on Vault, retries included.
    pub login_timeout: Duration,
    /// How many users are looked up at the same time.
    pub max_concurrent_lookups: u32,
    /// What is kept in memory.
    pub cache: CacheSettings,
    /// How long the secret before a rotation goes on opening its account.
    pub rotation_grace: Duration,
    /// Whether a token hash is also taken as the password of `m.login.password`.
    pub m_login_password_support_enabled: bool,
    /// Whether the right hash registers a user whom the homeserver does not have.
    pub allow_registration: bool,
    /// Whether everybody may ask over HTTP whether logins work.
    pub health_endpoint: bool,
}

/// What is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// How long a secret opens its account without Vault being asked.
    pub ttl: Duration,
    /// How long it opens it while Vault does not answer.
    pub stale_if_error: Duration,
    /// How many secrets are kept at most.
    pub max_entries: u32,
}

impl Settings {
    /// Reads the configuration, and from `environment` what Vault's own command line takes there.
    ///
    /// # Errors
    /// The first key that is unknown, missing, of the wrong type or out of range.
    pub fn parse(
        config: Map<String, Value>,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let mut section = Section::new(config, environment);
        let vault = vault::Written::read(&mut section);
        let login_timeout = section.timeout("login_timeout", Duration::from_secs(10));
        let max_concurrent_lookups = section.count("max_concurrent_lookups", 256, 65_536);
        let cache = section.section_or_empty("cache");
        let rotation_grace = section.duration("rotation_grace", Duration::ZERO);
        let m_login_password = section.boolean("m_login_password_support_enabled");
        let allow_registration = section.boolean("allow_registration");
        let health_endpoint = section.boolean("health_endpoint");
        // A misspelt key is what made another one missing: say the former.
        section.refuse_unknown_keys()?;
        Ok(Self {
            vault: vault.check(&section)?,
            login_timeout: login_timeout?,
            max_concurrent_lookups: max_concurrent_lookups?,
            cache: CacheSettings::read(cache?)?,
            rotation_grace: rotation_grace?,
            m_login_password_support_enabled: m_login_password?.unwrap_or(false),
            allow_registration: allow_registration?.unwrap_or(false),
            health_endpoint: health_endpoint?.unwrap_or(false),
        })
    }
}

impl CacheSettings {
    /// Whether nothing is kept.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.ttl.is_zero() && self.stale_if_error.is_zero()
    }

    fn read(mut section: Section<'_>) -> Result<Self, SettingsError> {
        let ttl = section.duration("ttl", Duration::ZERO);
        let stale_if_error = section.duration("stale_if_error", Duration::ZERO);
        let max_entries = section.count("max_entries", 10_000, 10_000_000);
        section.refuse_unknown_keys()?;
        Ok(Self { ttl: ttl?, stale_if_error: stale_if_error?, max_entries: max_entries? })
    }
}

/// Names the key whose value is wrong.
fn in_key<T, E: ToString>(
    key: impl Into<String>,
    result: Result<T, E>,
) -> Result<T, SettingsError> {
    result.map_err(|error| SettingsError::new(key, error.to_string()))
}
