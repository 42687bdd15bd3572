//! What monitoring is told of the logins' way to Vault.

use crate::metrics::Distribution;
use crate::vault::{RequestKind, RequestMetrics, TokenExpiry};

/// What has been counted since the service started.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    /// How long Vault took for what.
    pub vault_requests: Vec<(RequestKind, Distribution)>,
    /// Requests that were sent again because one before had failed or was not answered.
    pub vault_retries: u64,
    /// Logins accepted from memory without asking Vault.
    pub cache_hits: u64,
    /// Logins that might have been, and were not.
    pub cache_misses: u64,
    /// Logins accepted from memory because Vault did not answer.
    pub cache_stale: u64,
    /// When the module's token ends, as far as that is known.
    pub vault_token_end: Option<TokenExpiry>,
    /// Reads of entries that are under way now.
    pub lookups_in_flight: usize,
}

impl Default for MetricsSnapshot {
    /// Of a service that does not run.
    fn default() -> Self {
        Self {
            vault_requests: RequestMetrics::default().requests(),
            vault_retries: 0,
            cache_hits: 0,
            cache_misses: 0,
            cache_stale: 0,
            vault_token_end: None,
            lookups_in_flight: 0,
        }
    }
}
