//! `LoginService` and `Health`.

use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::conversion::{python_level, text};
use super::counts::Counts;
use super::mas_results;
use super::outcome::Outcome;
use super::settings::Settings;
use synapse_vault_auth_provider_core::http::BaseUrl;
use synapse_vault_auth_provider_core::login::{self, Event};
use synapse_vault_auth_provider_core::notice::Notice;
use synapse_vault_auth_provider_core::user_id::UserIdError;

/// Whether logins could be decided when it was asked.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct Health(login::Health);

#[pymethods]
impl Health {
    #[staticmethod]
    fn unanswered() -> Self {
        Self(login::Health::unanswered())
    }

    #[getter]
    fn vault_reachable(&self) -> bool {
        self.0.vault_reachable
    }

    #[getter]
    fn token_valid(&self) -> Option<bool> {
        self.0.token_valid
    }

    #[getter]
    fn kv_readable(&self) -> bool {
        self.0.kv_readable
    }

    #[getter]
    fn mas_reachable(&self) -> Option<bool> {
        self.0.mas.map(|mas| mas.reachable)
    }

    #[getter]
    fn mas_client_valid(&self) -> Option<bool> {
        self.0.mas.and_then(|mas| mas.client_valid)
    }

    #[getter]
    fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    #[getter]
    fn good_for(&self) -> f64 {
        self.0.good_for.as_secs_f64()
    }
}

/// Numbers of logins and their outcomes.
type Decided = Vec<(u64, Outcome)>;

/// Numbers of checks and what they found.
type Checked = Vec<(u64, Health)>;

/// Levels in the numbers of Python's `logging`, and lines for the log.
type Noticed = Vec<(u8, String)>;

/// Numbers of what was begun under Matrix Authentication Service and what came of it.
type MasResults = Vec<(u64, Py<PyAny>)>;

/// Decides logins on threads of its own, which never touch the interpreter.
#[pyclass(frozen, weakref, module = "synapse_vault_auth_provider._core")]
pub struct LoginService(pub Arc<login::LoginService>);

#[pymethods]
impl LoginService {
    #[new]
    #[pyo3(signature = (settings, server_name, mas_endpoint = None, *, announces_start = false))]
    fn new(
        settings: &Settings,
        server_name: String,
        mas_endpoint: Option<&str>,
        announces_start: bool,
    ) -> PyResult<Self> {
        let mas_endpoint = mas_endpoint.map(BaseUrl::parse).transpose().map_err(|error| {
            PyValueError::new_err(format!("the endpoint of Matrix Authentication Service {error}"))
        })?;
        let service = login::LoginService::new(settings.0.login.clone(), server_name, mas_endpoint);
        let service = if announces_start { service.announcing_start() } else { service };
        Ok(Self(Arc::new(service)))
    }

    #[getter]
    fn login_timeout(&self) -> f64 {
        self.0.login_timeout().as_secs_f64()
    }

    fn start(&self) -> PyResult<()> {
        self.0.start().map_err(|error| runtime_error(&error))
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn fileno(&self) -> i32 {
        self.0.wakeup().unwrap_or(-1)
    }

    fn begin<'py>(
        &self,
        number: u64,
        user: Bound<'py, PyAny>,
        token_hash: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Option<Outcome>)> {
        let Some(name) = text(&user) else {
            let malformed = login::Outcome::from(UserIdError::Malformed);
            return Ok((user, Some(Outcome(malformed))));
        };
        let begun = self.0.begin(number, name, text(token_hash));
        let (user_id, refusal) = begun.map_err(|error| runtime_error(&error))?;
        let user_id = PyString::new(user.py(), &user_id).into_any();
        Ok((user_id, refusal.map(Outcome)))
    }

    #[pyo3(signature = (number, canonical_id))]
    fn decide(&self, number: u64, canonical_id: Option<&str>) -> PyResult<Option<Outcome>> {
        self.0
            .decide(number, canonical_id)
            .map(|outcome| outcome.map(Outcome))
            .map_err(|error| runtime_error(&error))
    }

    fn abandon(&self, number: u64) {
        self.0.abandon(number);
    }

    fn counts(&self, py: Python<'_>) -> Counts {
        py.detach(|| Counts::read(self.0.metrics().as_ref()))
    }

    fn begin_check(&self, number: u64) -> Option<Health> {
        self.0.begin_check(number).map(Health)
    }

    fn drain(&self, py: Python<'_>) -> PyResult<(Decided, Noticed, Checked, MasResults)> {
        let mut decided = Vec::new();
        let mut notices = Vec::new();
        let mut checked = Vec::new();
        let mut mas_results = Vec::new();
        for message in self.0.drain() {
            match message {
                Event::Decided(number, outcome) => decided.push((number, Outcome(outcome))),
                Event::Checked(number, health) => checked.push((number, Health(health))),
                Event::Mas(number, event) => {
                    mas_results.push((number, mas_results::to_python(py, event)?));
                }
                Event::Noticed(Notice { level, text }) => {
                    notices.push((python_level(level), text));
                }
            }
        }
        Ok((decided, notices, checked, mas_results))
    }
}

/// The error of a service that cannot do what it was asked to.
pub fn runtime_error(error: &login::ServiceError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
