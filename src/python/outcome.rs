//! `Outcome`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use synapse_vault_auth_provider_core::login;

/// How a login ended.
#[pyclass(frozen, module = "synapse_vault_auth_provider._core")]
pub struct Outcome(pub login::Outcome);

#[pymethods]
impl Outcome {
    #[getter]
    fn code(&self) -> &'static str {
        self.0.code.as_str()
    }

    #[getter]
    fn reason(&self) -> &str {
        &self.0.reason
    }

    #[getter]
    fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    #[getter]
    fn display_name(&self) -> Option<&str> {
        self.0.display_name.as_deref()
    }

    #[getter]
    fn accepted(&self) -> bool {
        self.0.code.severity() == login::Severity::Accepted
    }

    #[getter]
    fn failed(&self) -> bool {
        self.0.code.severity() == login::Severity::Failed
    }

    #[getter]
    fn wants_registration(&self) -> bool {
        self.0.code == login::Code::Registered
    }

    #[staticmethod]
    fn unanswered() -> Self {
        Self(login::Outcome::unanswered())
    }

    #[staticmethod]
    fn of(code: &str, reason: &str) -> PyResult<Self> {
        Ok(Self(login::Outcome::new(code_of_name(code)?, reason)))
    }

    fn becoming(&self, code: &str, reason: &str) -> PyResult<Self> {
        Ok(Self(self.0.becoming(code_of_name(code)?, reason)))
    }

    fn refused_registration(&self, reason: &str) -> Self {
        Self(self.0.refused_registration(reason))
    }

    fn registered_before(&self) -> Self {
        Self(self.0.registered_before())
    }

    fn __repr__(&self) -> String {
        format!("<Outcome {}: {}>", self.0.code.as_str(), self.0.reason)
    }
}

/// The names of all outcomes.
pub fn outcomes() -> Vec<&'static str> {
    login::Code::ALL.map(login::Code::as_str).to_vec()
}

fn code_of_name(name: &str) -> PyResult<login::Code> {
    login::Code::of_name(name).ok_or_else(|| PyValueError::new_err("there is no such outcome"))
}
