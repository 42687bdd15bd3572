//! The configuration of the module.

use std::time::Duration;

use serde_json::{Map, Value};

use super::environment::Environment;
use super::error::SettingsError;
use super::section::Section;
use super::vault;
use crate::login::{self, CacheConfig};

/// The whole configuration of the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How logins are decided.
    pub login: login::Config,
    /// Whether a token hash is also taken as the password of `m.login.password`.
    pub m_login_password_support_enabled: bool,
    /// Whether everybody may ask over HTTP whether logins work.
    pub health_endpoint: bool,
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
            login: login::Config {
                vault: vault.check(&section)?,
                login_timeout: login_timeout?,
                max_concurrent_lookups: max_concurrent_lookups?,
                cache: cache_config(cache?)?,
                rotation_grace: rotation_grace?,
                allow_registration: allow_registration?.unwrap_or(false),
            },
            m_login_password_support_enabled: m_login_password?.unwrap_or(false),
            health_endpoint: health_endpoint?.unwrap_or(false),
        })
    }
}

fn cache_config(mut section: Section<'_>) -> Result<CacheConfig, SettingsError> {
    let ttl = section.duration("ttl", Duration::ZERO);
    let stale_if_error = section.duration("stale_if_error", Duration::ZERO);
    let max_entries = section.count("max_entries", 10_000, 10_000_000);
    section.refuse_unknown_keys()?;
    Ok(CacheConfig { ttl: ttl?, stale_if_error: stale_if_error?, max_entries: max_entries? })
}
