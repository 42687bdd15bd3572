//! The boundary to Python: what `synapse_vault_auth_provider._core` offers.

mod counts;
mod provisioning;
mod runtime;
mod service;
mod settings;

use std::collections::HashMap;

use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::notice::Level;
use crate::settings::SettingsError;

/// The extension module.
#[pymodule]
mod _core {
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;

    use crate::token_hash::PresentedHash;

    #[pymodule_export]
    use super::counts::Counts;
    #[pymodule_export]
    use super::provisioning::{
        Finding, ListedUser, Login, Profile, ProvisionedUser, Provisioner, RevokedUser,
        RotatedSecret,
    };
    #[pymodule_export]
    use super::service::{Health, LoginService, Outcome};
    #[pymodule_export]
    use super::settings::{Settings, SettingsError};

    /// The version of the package, from `Cargo.toml`.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::runtime::end_at_exit(module.py())?;
        module.add("OUTCOMES", super::service::outcomes())?;
        module.add("VAULT_REQUEST_BUCKETS", crate::metrics::BUCKETS.to_vec())
    }

    /// See `_core.pyi`.
    #[pyfunction]
    fn token_hash(login_secret: &str, user_id: &str) -> PyResult<String> {
        if login_secret.is_empty() {
            return Err(PyValueError::new_err(
                "login_secret is empty: no provider accepts its hash",
            ));
        }
        Ok(crate::token_hash::token_hash(login_secret, user_id))
    }

    /// See `_core.pyi`.
    #[pyfunction]
    fn verify_token_hash(login_secret: &str, user_id: &str, token_hash: &str) -> bool {
        crate::token_hash::verify_token_hash(login_secret, user_id, token_hash)
    }

    /// See `_core.pyi`.
    #[pyfunction]
    fn duration_seconds(json: &str) -> PyResult<f64> {
        let read = serde_json::from_str(json).map_err(|error| error.to_string());
        read.and_then(|value| crate::settings::duration::parse(&value))
            .map(|duration| duration.as_secs_f64())
            .map_err(PyValueError::new_err)
    }

    /// See `_core.pyi`.
    #[pyfunction]
    fn is_token_hash(value: &Bound<'_, PyAny>) -> bool {
        super::service::text(value).and_then(PresentedHash::parse).is_some()
    }
}

/// The values of keys, each of which came as JSON.
fn json_values(config: HashMap<String, String>) -> Result<Map<String, Value>, SettingsError> {
    let read = |(key, json): (String, String)| match serde_json::from_str(&json) {
        Ok(value) => Ok((key, value)),
        Err(_) => Err(SettingsError {
            key,
            message: "holds text or a number that cannot be read".to_owned(),
        }),
    };
    config.into_iter().map(read).collect()
}

/// The level's number in Python's `logging`.
fn python_level(level: Level) -> u8 {
    match level {
        Level::Info => 20,
        Level::Warning => 30,
        Level::Error => 40,
    }
}
