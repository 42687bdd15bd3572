//! How logins are decided.

use std::time::Duration;

use super::mas::MasConfig;
use crate::vault;

/// How logins are decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// How Vault is reached and where the secrets lie in it.
    pub vault: vault::Config,
    /// All that one login may spend on Vault, retries included.
    pub login_timeout: Duration,
    /// How many users are looked up at the same time.
    pub max_concurrent_lookups: u32,
    /// What is kept in memory.
    pub cache: CacheConfig,
    /// How long the secret before a rotation goes on opening its account.
    pub rotation_grace: Duration,
    /// Whether the right hash registers a user whom the homeserver does not have.
    pub allow_registration: bool,
    /// How sessions are opened, where Matrix Authentication Service has the accounts.
    pub mas: Option<MasConfig>,
}

/// What is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// How long a secret opens its account without Vault being asked.
    pub ttl: Duration,
    /// How long it opens it while Vault does not answer.
    pub stale_if_error: Duration,
    /// How many secrets are kept at most.
    pub max_entries: u32,
}

impl CacheConfig {
    /// Whether nothing is kept.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.ttl.is_zero() && self.stale_if_error.is_zero()
    }
}
