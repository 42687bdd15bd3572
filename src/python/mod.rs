//! The boundary to Python: what `synapse_vault_auth_provider._core` offers.

mod service;
mod settings;

use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _core {
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::service::{LoginService, Outcome};
    #[pymodule_export]
    use super::settings::{Settings, SettingsError};

    /// The version of the package, from `Cargo.toml`.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

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
}
