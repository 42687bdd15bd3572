//! `Counts`.

use std::collections::HashMap;
use std::time::SystemTime;

use pyo3::prelude::*;

use synapse_vault_auth_provider_core::homeserver::mas;
use synapse_vault_auth_provider_core::login::{CacheUses, Metrics};
use synapse_vault_auth_provider_core::metrics;
use synapse_vault_auth_provider_core::vault::{RequestMetrics, TokenExpiry};

/// What a login service has counted.
#[pyclass(frozen, get_all, module = "synapse_vault_auth_provider._core")]
pub struct Counts {
    vault_requests: HashMap<&'static str, (Vec<u64>, f64)>,
    mas_requests: HashMap<&'static str, (Vec<u64>, f64)>,
    vault_retries: u64,
    cache: HashMap<&'static str, u64>,
    vault_token_expiry: Option<f64>,
    lookups_in_flight: usize,
}

impl Counts {
    /// Reads the counters of a service; all are zero for one that does not run.
    pub fn read(metrics: Option<&Metrics>) -> Self {
        let (no_requests, no_uses) = (RequestMetrics::default(), CacheUses::default());
        let requests = metrics.map_or(&no_requests, Metrics::requests);
        let uses = metrics.and_then(Metrics::cache_uses).unwrap_or(&no_uses);
        Self {
            vault_requests: requests
                .requests()
                .into_iter()
                .map(|(kind, took)| (kind.as_str(), (took.cumulative, took.sum)))
                .collect(),
            mas_requests: metrics
                .and_then(Metrics::mas_requests)
                .into_iter()
                .flat_map(mas::RequestMetrics::requests)
                .map(|(kind, took)| (kind.as_str(), (took.cumulative, took.sum)))
                .collect(),
            vault_retries: requests.retries.get(),
            cache: HashMap::from([
                ("hit", uses.hits.get()),
                ("miss", uses.misses.get()),
                ("stale", uses.stale.get()),
            ]),
            vault_token_expiry: metrics.and_then(Metrics::token_end).and_then(timestamp),
            lookups_in_flight: metrics.map_or(0, Metrics::reads_in_flight),
        }
    }
}

/// When a token ends, in seconds since 1970.
fn timestamp(end: TokenExpiry) -> Option<f64> {
    match end {
        TokenExpiry::Never => Some(f64::INFINITY),
        TokenExpiry::At(end) => {
            end.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
        }
    }
}

/// The upper bounds of the buckets of a histogram, in seconds.
pub fn buckets() -> Vec<f64> {
    metrics::BUCKETS.to_vec()
}
