//! Errors as exceptions of `synapse_vault_auth_provider.errors`.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use synapse_vault_auth_provider_core::provisioning::{ErrorKind, ProvisioningError};
use synapse_vault_auth_provider_core::settings::SettingsError;

/// The exception for an error.
pub fn to_exception(py: Python<'_>, error: &ProvisioningError) -> PyErr {
    exception(py, error).unwrap_or_else(|failure| failure)
}

/// The exception for a setting that is wrong.
pub fn of_settings(py: Python<'_>, error: SettingsError) -> PyErr {
    to_exception(py, &ProvisioningError::of_key(error.key, error.message))
}

fn exception(py: Python<'_>, error: &ProvisioningError) -> PyResult<PyErr> {
    let class = match error.kind {
        ErrorKind::Configuration => "ConfigurationError",
        ErrorKind::Homeserver => "HomeserverError",
        ErrorKind::Vault => "VaultError",
        ErrorKind::Unreachable => "UnreachableError",
        ErrorKind::Conflict => "ConflictError",
        ErrorKind::Undecided => "UndecidedError",
    };
    let details = PyDict::new(py);
    details.set_item("advice", error.advice.as_deref())?;
    details.set_item("status", error.status)?;
    details.set_item("errcode", error.errcode.as_deref())?;
    details.set_item("retry_after", error.retry_after.map(|wait| wait.as_secs_f64()))?;
    details.set_item("key", error.key.as_deref())?;
    let class = py.import("synapse_vault_auth_provider.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((error.message.as_str(),), Some(&details))?))
}
