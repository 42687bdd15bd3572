//! `Counts`.

use std::collections::HashMap;
use std::time::SystemTime;

use pyo3::prelude::*;

use synapse_vault_auth_provider_core::vault::TokenExpiry;
use synapse_vault_auth_provider_core::{login, metrics};

/// What has been counted of the logins' way to Vault.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct Counts(pub login::MetricsSnapshot);

#[pymethods]
impl Counts {
    #[getter]
    fn vault_requests(&self) -> HashMap<&'static str, (Vec<u64>, f64)> {
        let requests = self.0.vault_requests.iter();
        requests
            .map(|(operation, took)| (operation.as_str(), (took.cumulative.clone(), took.sum)))
            .collect()
    }

    #[getter]
    fn vault_retries(&self) -> u64 {
        self.0.vault_retries
    }

    #[getter]
    fn cache(&self) -> HashMap<&'static str, u64> {
        HashMap::from([
            ("hit", self.0.cache_hits),
            ("miss", self.0.cache_misses),
            ("stale", self.0.cache_stale),
        ])
    }

    #[getter]
    fn vault_token_expiry(&self) -> Option<f64> {
        match self.0.vault_token_end? {
            TokenExpiry::Never => Some(f64::INFINITY),
            TokenExpiry::At(end) => {
                end.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
            }
        }
    }

    #[getter]
    fn lookups_in_flight(&self) -> usize {
        self.0.lookups_in_flight
    }
}

/// The upper bounds of the buckets of a histogram, in seconds.
pub fn buckets() -> Vec<f64> {
    metrics::BUCKETS.to_vec()
}
