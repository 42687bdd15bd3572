//! `Settings` and its error.

use std::collections::HashMap;

use super::mas_results::MasSettings;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use synapse_vault_auth_provider_core::settings;

pyo3::create_exception!(
    synapse_vault_auth_provider._core,
    SettingsError,
    PyValueError,
    "One key of the configuration is wrong. ``args`` are the key and what is allowed."
);

pyo3::create_exception!(
    synapse_vault_auth_provider._core,
    LackingError,
    SettingsError,
    "The configuration may be right, and this process lacks what it relies on."
);

/// Checked configuration. Its text shows no secret.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct Settings(pub settings::Settings);

#[pymethods]
impl Settings {
    /// See `_core.pyi`.
    #[staticmethod]
    // PyO3 converts Python's mappings into maps of its caller's own.
    #[allow(clippy::needless_pass_by_value)]
    fn parse(
        config: HashMap<String, String>,
        environment: HashMap<String, String>,
    ) -> PyResult<Self> {
        super::conversion::json_values(config)
            .and_then(|values| settings::Settings::parse(values, &environment))
            .map(Self)
            .map_err(|error| {
                let arguments = (error.key, error.message);
                if error.is_of_process {
                    LackingError::new_err(arguments)
                } else {
                    SettingsError::new_err(arguments)
                }
            })
    }

    #[getter]
    fn m_login_password_support_enabled(&self) -> bool {
        self.0.m_login_password_support_enabled
    }

    #[getter]
    fn health_endpoint(&self) -> bool {
        self.0.health_endpoint
    }

    #[getter]
    fn mas(&self) -> Option<MasSettings> {
        self.0.login.mas.as_ref().map(MasSettings::of)
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.clone()
    }

    #[getter]
    fn location(&self) -> String {
        self.0.login.vault.location()
    }

    fn has_entries_of(&self, other: &Self) -> bool {
        self.0.login.vault.has_entries_of(&other.0.login.vault)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}
