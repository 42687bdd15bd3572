//! `MasService`.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use secrecy::SecretString;
use synapse_vault_auth_provider_core::homeserver::mas::{LegacyEndpoint, PassedRequest};
use synapse_vault_auth_provider_core::login::{self, MasEvent, OpenResult, SessionWishes};

use super::conversion::text;
use super::mas_results::{OpenedSession, to_python};
use super::outcome::Outcome;
use super::service::{LoginService, runtime_error};

/// What a login service does under Matrix Authentication Service.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct MasService(Arc<login::LoginService>);

#[pymethods]
impl MasService {
    #[new]
    fn new(service: &LoginService) -> Self {
        Self(Arc::clone(&service.0))
    }

    #[pyo3(signature = (
        number, user_id, outcome, *, device_id, device_is_known, display_name, seconds_left
    ))]
    #[allow(clippy::too_many_arguments, reason = "Python gives each its name")]
    fn open_session(
        &self,
        py: Python<'_>,
        number: u64,
        user_id: &str,
        outcome: &Outcome,
        device_id: &Bound<'_, PyAny>,
        device_is_known: bool,
        display_name: &Bound<'_, PyAny>,
        seconds_left: f64,
    ) -> PyResult<Option<Py<PyAny>>> {
        let wishes = wish(device_id, "device_id").and_then(|device_id| {
            let display_name = wish(display_name, "initial_device_display_name")?;
            Ok(SessionWishes { device_id, is_device_known: device_is_known, display_name })
        });
        let wishes = match wishes {
            Ok(wishes) => wishes,
            Err(message) => {
                let refusal = OpenResult::bad_request(&outcome.0, "M_INVALID_PARAM", message);
                return to_python(py, MasEvent::Opened(refusal)).map(Some);
            }
        };
        let left = duration(seconds_left);
        at_once(py, self.0.begin_session(number, user_id, &outcome.0, wishes, left))
    }

    fn register(
        &self,
        py: Python<'_>,
        number: u64,
        user_id: &str,
        outcome: &Outcome,
        seconds_left: f64,
    ) -> PyResult<Option<Py<PyAny>>> {
        let left = duration(seconds_left);
        at_once(py, self.0.begin_registration(number, user_id, &outcome.0, left))
    }

    fn log_out(
        &self,
        py: Python<'_>,
        number: u64,
        access_token: String,
        all_sessions: bool,
        seconds_left: f64,
    ) -> PyResult<Option<Py<PyAny>>> {
        let token = SecretString::from(access_token);
        let left = duration(seconds_left);
        at_once(py, self.0.begin_logout(number, token, all_sessions, left))
    }

    #[pyo3(signature = (
        number, endpoint, body, *, content_type, authorization, user_agent, client_address
    ))]
    #[allow(clippy::too_many_arguments, reason = "Python gives each its name")]
    fn pass_on(
        &self,
        py: Python<'_>,
        number: u64,
        endpoint: &str,
        body: Vec<u8>,
        content_type: Option<Vec<u8>>,
        authorization: Option<Vec<u8>>,
        user_agent: Option<Vec<u8>>,
        client_address: Option<String>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let endpoint = match endpoint {
            "flows" => LegacyEndpoint::Flows,
            "login" => LegacyEndpoint::Login,
            "logout" => LegacyEndpoint::Logout,
            "logout_all" => LegacyEndpoint::LogoutAll,
            _ => return Err(PyValueError::new_err("there is no such endpoint")),
        };
        let (body, authorization) = (body.into(), authorization.map(Into::into));
        let request = PassedRequest {
            endpoint,
            body,
            content_type,
            authorization,
            user_agent,
            client_address,
        };
        at_once(py, self.0.begin_passing_on(number, request))
    }

    #[pyo3(signature = (number, session = None))]
    fn abandon_session(&self, number: u64, session: Option<&OpenedSession>) {
        self.0.abandon_session(number, session.map(|session| session.0.clone()));
    }
}

/// What a client may leave out.
fn wish(value: &Bound<'_, PyAny>, what: &str) -> Result<Option<String>, String> {
    match text(value) {
        _ if value.is_none() => Ok(None),
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(format!("{what} must be a string")),
    }
}

fn at_once(
    py: Python<'_>,
    begun: Result<Option<MasEvent>, login::ServiceError>,
) -> PyResult<Option<Py<PyAny>>> {
    match begun {
        Ok(None) => Ok(None),
        Ok(Some(event)) => to_python(py, event).map(Some),
        Err(error) => Err(runtime_error(&error)),
    }
}

/// A time of Python's; none for one that has passed.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
