//! `Counts`.

use std::collections::HashMap;
use std::time::SystemTime;

use pyo3::prelude::*;

use synapse_vault_auth_provider_core::login::{CacheUses, Metrics};
use synapse_vault_auth_provider_core::metrics;
use synapse_vault_auth_provider_core::vault::{RequestMetrics, TokenExpiry};

/// The counters of a login service; of one that does not run, all are zero.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct Counts(pub Option<Metrics>);

#[pymethods]
impl Counts {
    #[getter]
    fn vault_requests(&self) -> HashMap<&'static str, (Vec<u64>, f64)> {
        let none = RequestMetrics::default();
        let requests = self.0.as_ref().map_or(&none, Metrics::requests).requests();
        requests
            .into_iter()
            .map(|(kind, took)| (kind.as_str(), (took.cumulative, took.sum)))
            .collect()
    }

    #[getter]
    fn vault_retries(&self) -> u64 {
        self.0.as_ref().map_or(0, |counted| counted.requests().retries.get())
    }

    #[getter]
    fn cache(&self) -> HashMap<&'static str, u64> {
        let none = CacheUses::default();
        let uses = self.0.as_ref().and_then(Metrics::cache_uses).unwrap_or(&none);
        HashMap::from([
            ("hit", uses.hits.get()),
            ("miss", uses.misses.get()),
            ("stale", uses.stale.get()),
        ])
    }

    #[getter]
    fn vault_token_expiry(&self) -> Option<f64> {
        match self.0.as_ref().and_then(Metrics::token_end)? {
            TokenExpiry::Never => Some(f64::INFINITY),
            TokenExpiry::At(end) => {
                end.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
            }
        }
    }

    #[getter]
    fn lookups_in_flight(&self) -> usize {
        self.0.as_ref().map_or(0, Metrics::reads_in_flight)
    }
}

/// The upper bounds of the buckets of a histogram, in seconds.
pub fn buckets() -> Vec<f64> {
    metrics::BUCKETS.to_vec()
}
