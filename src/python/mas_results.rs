//! What comes of what is begun under Matrix Authentication Service.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use secrecy::ExposeSecret;
use synapse_vault_auth_provider_core::homeserver::mas::PassedOn;
use synapse_vault_auth_provider_core::login::{
    self, ClientError, LogoutResult, MasConfig, MasEvent, OpenResult,
};

use super::outcome::Outcome;

/// What Python needs to know of `mas`.
#[pyclass(frozen, get_all, module = "synapse_vault_auth_provider._core")]
pub struct MasSettings {
    pass_other_logins: bool,
}

impl MasSettings {
    /// Of this configuration.
    pub fn of(config: &MasConfig) -> Self {
        Self { pass_other_logins: config.pass_other_logins }
    }
}

/// A session that was opened.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct OpenedSession(pub login::OpenedSession);

#[pymethods]
impl OpenedSession {
    #[getter]
    fn access_token(&self) -> &str {
        self.0.access_token.secret().expose_secret()
    }

    #[getter]
    fn device_id(&self) -> &str {
        &self.0.device_id
    }

    #[getter]
    fn device_display_name(&self) -> Option<&str> {
        self.0.device_display_name.as_deref()
    }

    #[getter]
    fn expires_in_ms(&self) -> Option<u64> {
        self.0.expires_in.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }

    fn __repr__(&self) -> String {
        format!("<OpenedSession on {}>", self.0.device_id)
    }
}

/// How a login ended, or a registration.
#[pyclass(frozen, get_all, module = "synapse_vault_auth_provider._core")]
pub struct MasLogin {
    outcome: Py<Outcome>,
    session: Option<Py<OpenedSession>>,
    client_error: Option<(&'static str, String)>,
}

impl MasLogin {
    fn new(py: Python<'_>, result: OpenResult) -> PyResult<Self> {
        let session =
            result.session.map(|session| Py::new(py, OpenedSession(session))).transpose()?;
        let client_error =
            result.client_error.map(|ClientError { errcode, message }| (errcode, message));
        Ok(Self { outcome: Py::new(py, Outcome(result.outcome))?, session, client_error })
    }
}

/// What came of logging out.
#[pyclass(frozen, get_all, module = "synapse_vault_auth_provider._core")]
pub struct MasLogout {
    kind: &'static str,
    reason: Option<String>,
}

impl From<LogoutResult> for MasLogout {
    fn from(result: LogoutResult) -> Self {
        match result {
            LogoutResult::Done => Self { kind: "done", reason: None },
            LogoutResult::NotOurs => Self { kind: "not_ours", reason: None },
            LogoutResult::UnknownToken => Self { kind: "unknown_token", reason: None },
            LogoutResult::Unavailable(reason) => Self { kind: "unavailable", reason: Some(reason) },
        }
    }
}

/// What came of a request that was passed on.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct MasAnswer(Result<PassedOn, String>);

#[pymethods]
impl MasAnswer {
    #[getter]
    fn status(&self) -> Option<u16> {
        self.0.as_ref().ok().map(|answer| answer.status)
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.as_ref().map_or(&[][..], |answer| &answer.body))
    }

    #[getter]
    fn content_type(&self) -> Option<&[u8]> {
        self.0.as_ref().ok()?.content_type.as_deref()
    }

    #[getter]
    fn retry_after(&self) -> Option<&[u8]> {
        self.0.as_ref().ok()?.retry_after.as_deref()
    }

    #[getter]
    fn reason(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}

/// What came of something, in the form that Python wants.
pub fn to_python(py: Python<'_>, event: MasEvent) -> PyResult<Py<PyAny>> {
    Ok(match event {
        MasEvent::Opened(result) => Py::new(py, MasLogin::new(py, result)?)?.into_any(),
        MasEvent::LoggedOut(result) => Py::new(py, MasLogout::from(result))?.into_any(),
        MasEvent::PassedOn(result) => Py::new(py, MasAnswer(result))?.into_any(),
    })
}
