//! The configuration of the module.

use std::time::Duration;

use serde_json::{Map, Value};

use super::environment::Environment;
use super::error::{Lacking, SettingsError};
use super::section::Section;
use super::{keys, mas, vault};
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
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads the configuration, and from `environment` what Vault's own command line takes there.
    ///
    /// # Errors
    /// The first key that is unknown, missing, of the wrong type or out of range. If there is none,
    /// the first thing that only this process lacks: a token, or a file that it can read.
    pub fn parse(
        config: Map<String, Value>,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let mut section = Section::new(config, environment, &[keys::VAULT, keys::LOGIN].concat())?;
        let mut lacking = Lacking::default();
        let vault = vault::read(&mut section, &mut lacking)?;
        let login_timeout = section.timeout("login_timeout", Duration::from_secs(10))?;
        let max_concurrent_lookups = section.count("max_concurrent_lookups", 256, 65_536)?;
        let cache = cache(section.section_or_empty("cache", keys::CACHE)?)?;
        let rotation_grace = section.duration("rotation_grace", Duration::ZERO)?;
        let allow_registration = section.boolean("allow_registration")?.unwrap_or(false);
        let m_login_password_support_enabled =
            section.boolean("m_login_password_support_enabled")?.unwrap_or(false);
        let health_endpoint = section.boolean("health_endpoint")?.unwrap_or(false);
        // Both have what one exchange may take, which is checked with Vault's keys.
        let request_timeout = vault.as_ref().map(|vault| vault.connection.request_timeout);
        let mas = mas::read(&mut section, request_timeout.unwrap_or_default(), &mut lacking)?;
        let vault = lacking.complete(vault)?;
        Ok(Self {
            warnings: vault::odd_path_root(&vault.mount, &vault.path_root).into_iter().collect(),
            login: login::Config {
                vault,
                login_timeout,
                max_concurrent_lookups,
                cache,
                rotation_grace,
                allow_registration,
                mas,
            },
            m_login_password_support_enabled,
            health_endpoint,
        })
    }
}

/// What is kept in memory.
pub fn cache(mut section: Section<'_>) -> Result<CacheConfig, SettingsError> {
    Ok(CacheConfig {
        ttl: section.duration("ttl", Duration::ZERO)?,
        stale_if_error: section.duration("stale_if_error", Duration::ZERO)?,
        max_entries: section.count("max_entries", 10_000, 10_000_000)?,
    })
}
