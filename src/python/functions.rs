//! The functions of the extension module.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use synapse_vault_auth_provider_core::settings::parse_duration;
use synapse_vault_auth_provider_core::token_hash::{self as hashes, PresentedHash};

use super::conversion::text;

/// See `_core.pyi`.
#[pyfunction]
pub fn token_hash(login_secret: &str, user_id: &str) -> PyResult<String> {
    if login_secret.is_empty() {
        return Err(PyValueError::new_err("login_secret is empty: no provider accepts its hash"));
    }
    Ok(hashes::token_hash(login_secret, user_id))
}

/// See `_core.pyi`.
#[pyfunction]
pub fn verify_token_hash(login_secret: &str, user_id: &str, token_hash: &str) -> bool {
    hashes::verify_token_hash(login_secret, user_id, token_hash)
}

/// See `_core.pyi`.
#[pyfunction]
pub fn duration_seconds(json: &str) -> PyResult<f64> {
    let read = serde_json::from_str(json).map_err(|error| error.to_string());
    read.and_then(|value| parse_duration(&value))
        .map(|duration| duration.as_secs_f64())
        .map_err(PyValueError::new_err)
}

/// See `_core.pyi`.
#[pyfunction]
pub fn is_token_hash(value: &Bound<'_, PyAny>) -> bool {
    text(value).and_then(PresentedHash::parse).is_some()
}
