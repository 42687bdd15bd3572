//! The functions of the extension module.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use synapse_vault_auth_provider_core::homeserver;
use synapse_vault_auth_provider_core::settings::parse_duration;
use synapse_vault_auth_provider_core::token_hash::{self as hashes, PresentedHash};
use synapse_vault_auth_provider_core::user_id::UserId;

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
#[pyo3(signature = (text, server_name, *, is_new=false))]
pub fn parse_user_id(
    text: &str,
    server_name: Option<&str>,
    is_new: bool,
) -> PyResult<(String, String)> {
    let user_id = match server_name {
        Some(server_name) if is_new => UserId::of_new_account(text, server_name),
        Some(server_name) => UserId::from_input(text, server_name),
        None => UserId::of_any_server(text),
    };
    let user_id = user_id.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok((user_id.as_str().to_owned(), user_id.localpart().to_owned()))
}

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (shared_secret, nonce, localpart, password, *, is_admin=false, user_type=None))]
pub fn registration_mac(
    shared_secret: &str,
    nonce: &str,
    localpart: &str,
    password: &str,
    is_admin: bool,
    user_type: Option<&str>,
) -> String {
    homeserver::registration_mac(shared_secret, nonce, localpart, password, is_admin, user_type)
}

/// See `_core.pyi`.
#[pyfunction]
pub fn is_token_hash(value: &Bound<'_, PyAny>) -> bool {
    text(value).and_then(PresentedHash::parse).is_some()
}
