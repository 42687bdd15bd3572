//! How a verb ends for Python: with its result or an exception, and what there is to log.

use std::mem;
use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use super::super::conversion::python_level;
use super::error;
use super::verbs::Finished;
use synapse_vault_auth_provider_core::notice::Notice;
use synapse_vault_auth_provider_core::sync::Mutex;

/// Notices that nobody has logged yet. More than this are not kept.
const MOST_NOTICES: usize = 100;

/// Notices of the background, until a verb ends.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<Vec<Notice>>>);

impl Inbox {
    pub fn keep(&self, notice: Notice) {
        let mut notices = self.0.lock();
        if notices.len() < MOST_NOTICES {
            notices.push(notice);
        }
    }

    /// Hands what was kept to Python's log.
    fn log(&self, py: Python<'_>) -> PyResult<()> {
        let notices = mem::take(&mut *self.0.lock());
        if notices.is_empty() {
            return Ok(());
        }
        let logger =
            py.import("logging")?.call_method1("getLogger", ("synapse_vault_auth_provider",))?;
        for Notice { level, text } in notices {
            logger.call_method1("log", (python_level(level), "%s", text))?;
        }
        Ok(())
    }
}

/// How a verb ended. Becomes its result or its exception, on a thread that may wait for Python.
pub struct VerbResult<T> {
    pub result: Finished<T>,
    pub inbox: Inbox,
}

impl<'py, T: IntoPyObject<'py>> IntoPyObject<'py> for VerbResult<T> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // A log that does not work must not cost the result.
        if let Err(failure) = self.inbox.log(py) {
            failure.write_unraisable(py, None);
        }
        match self.result {
            Ok(value) => value.into_bound_py_any(py),
            Err(error) => Err(error::to_exception(py, &error)),
        }
    }
}
