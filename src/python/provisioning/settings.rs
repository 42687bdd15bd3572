//! `ProvisioningSettings`: what the sources say, and which of them counts.

use std::collections::HashMap;

use pyo3::prelude::*;
use synapse_vault_auth_provider_core::provisioning::{Config, LoginTimes};
use synapse_vault_auth_provider_core::settings::{
    Precedence, Sources, TokenOrigin, login_times, parse_kv_location, parse_provisioning,
    token_origin,
};
use synapse_vault_auth_provider_core::vault::Version;

use super::error;
use crate::conversion::json_values;

/// Where the settings of provisioning come from.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct ProvisioningSettings {
    sources: Sources,
    precedence: Precedence,
}

#[pymethods]
impl ProvisioningSettings {
    #[new]
    #[pyo3(signature = (given, environment, *, homeserver=None, module=None, as_module=false))]
    fn new(
        py: Python<'_>,
        given: HashMap<String, String>,
        environment: HashMap<String, String>,
        homeserver: Option<HashMap<String, String>>,
        module: Option<HashMap<String, String>>,
        as_module: bool,
    ) -> PyResult<Self> {
        let values = |values| json_values(values).map_err(|error| error::of_settings(py, error));
        Ok(Self {
            sources: Sources {
                given: values(given)?,
                environment,
                homeserver: values(homeserver.unwrap_or_default())?,
                module: module.map(values).transpose()?,
            },
            precedence: if as_module { Precedence::Module } else { Precedence::Operator },
        })
    }

    /// The mount, the version if it is known, and the path below the mount.
    fn kv_location(&self, py: Python<'_>) -> PyResult<(String, Option<u8>, String)> {
        let location = parse_kv_location(&self.sources, self.precedence)
            .map_err(|error| error::of_settings(py, error))?;
        let version = location.version.map(|version| match version {
            Version::V1 => 1,
            Version::V2 => 2,
        });
        Ok((location.mount.to_string(), version, location.path_root.to_string()))
    }

    /// Where the token comes from, and under which name there.
    fn token_origin(&self, py: Python<'_>) -> PyResult<Option<(&'static str, &'static str)>> {
        let origin = token_origin(&self.sources, self.precedence)
            .map_err(|error| error::of_settings(py, error))?;
        Ok(origin.map(|origin| match origin {
            TokenOrigin::Given(key) => ("given", key),
            TokenOrigin::Variable(name) => ("environment", name),
            TokenOrigin::Module(key) => ("module", key),
        }))
    }

    /// The rotation grace, and how long a cached secret works with and without Vault, in seconds.
    fn login_times(&self, py: Python<'_>) -> PyResult<Option<(f64, f64, f64)>> {
        let times = login_times(&self.sources).map_err(|error| error::of_settings(py, error))?;
        Ok(times.map(|times| {
            let LoginTimes { rotation_grace, cache_ttl, stale_if_error } = times;
            (rotation_grace.as_secs_f64(), cache_ttl.as_secs_f64(), stale_if_error.as_secs_f64())
        }))
    }
}

impl ProvisioningSettings {
    /// Gives the settings their types.
    pub fn parse(&self, py: Python<'_>) -> PyResult<Config> {
        parse_provisioning(&self.sources, self.precedence)
            .map_err(|error| error::of_settings(py, error))
    }
}
