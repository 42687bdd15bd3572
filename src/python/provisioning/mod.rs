//! `Provisioner`: every verb once, which blocks or is awaited as the object says whose method it is.

mod error;
mod results;
mod settings;
mod verb_result;
mod verbs;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::{conversion, runtime};
pub use results::{
    Finding, KeptToken, Lease, ListedUser, Login, Profile, ProvisionedUser, RevokedUser,
    RotatedSecret,
};
pub use settings::ProvisioningSettings;
use synapse_vault_auth_provider_core::notice::Notices;
use synapse_vault_auth_provider_core::process::ProcessLocal;
use synapse_vault_auth_provider_core::provisioning::{
    self, KeepOptions, LoginOptions, ProvisionRequest, RevokeOptions,
};
use synapse_vault_auth_provider_core::settings::SettingsError;
use synapse_vault_auth_provider_core::sync::Mutex;
use verb_result::{Inbox, VerbResult};
use verbs::{Core, Finished};

/// How long an earlier token goes on working, unless it is said otherwise.
const OVERLAP: Duration = Duration::from_secs(300);

/// Creates accounts, keeps their secrets in Vault, and gets tokens with them.
#[pyclass(frozen, subclass, module = "synapse_vault_auth_provider._core")]
pub struct Provisioner {
    shared: Arc<Shared>,
    calls: Calls,
}

/// How a verb gives its result.
#[derive(Clone, Copy)]
enum Calls {
    /// It returns the result.
    Block,
    /// It returns what to await.
    Return,
}

/// What both forms of the verbs have in common.
struct Shared {
    config: provisioning::Config,
    open: Mutex<Open>,
    inbox: Inbox,
}

enum Open {
    /// No verb has been called: there are no connections and no tasks.
    NotYet,
    /// There are, in the process that made them.
    Yes(ProcessLocal<Running>),
    NoMore,
}

/// What the verbs run on. Its connections and its task belong to one process.
struct Running {
    core: Arc<provisioning::Provisioner>,
    /// Keeps the Vault token alive.
    token_keeper: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.token_keeper.abort();
    }
}

#[pymethods]
impl Provisioner {
    #[new]
    fn new(py: Python<'_>, settings: &ProvisioningSettings) -> PyResult<Self> {
        let config = settings.parse(py)?;
        let shared = Shared { config, open: Mutex::new(Open::NotYet), inbox: Inbox::default() };
        Ok(Self { shared: Arc::new(shared), calls: Calls::Block })
    }

    /// The same with verbs to await.
    fn awaitable(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), calls: Calls::Return }
    }

    #[getter]
    fn homeserver(&self) -> String {
        self.shared.config.homeserver.url.to_string()
    }

    #[getter]
    fn server_name(&self) -> &str {
        &self.shared.config.server_name
    }

    fn close(&self) {
        *self.shared.open.lock() = Open::NoMore;
    }

    #[pyo3(signature = (user_id, *, display_name=None, avatar=None, is_admin=false, user_type=None,
        external_id=None, adopt=false, reset_cross_signing=false, with_token=true))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)]
    fn provision_user(
        &self,
        py: Python<'_>,
        user_id: String,
        display_name: Option<String>,
        avatar: Option<String>,
        is_admin: bool,
        user_type: Option<String>,
        external_id: Option<String>,
        adopt: bool,
        reset_cross_signing: bool,
        with_token: bool,
    ) -> PyResult<Py<PyAny>> {
        let request = ProvisionRequest {
            user_id,
            display_name,
            avatar,
            is_admin,
            user_type,
            external_id,
            adopt,
            reset_cross_signing,
            with_token,
        };
        self.run(py, |core| verbs::provision_user(core, request))
    }

    #[pyo3(signature = (matrix_user_id, *, device_id=None, device_name=None, logout_others=false))]
    fn login(
        &self,
        py: Python<'_>,
        matrix_user_id: String,
        device_id: Option<String>,
        device_name: Option<String>,
        logout_others: bool,
    ) -> PyResult<Py<PyAny>> {
        let options = LoginOptions { device_id, device_name, logout_others };
        self.run(py, |core| verbs::login(core, matrix_user_id, options))
    }

    fn logout(&self, py: Python<'_>, access_token: String) -> PyResult<Py<PyAny>> {
        self.run(py, |core| verbs::logout(core, access_token.into()))
    }

    #[pyo3(signature = (matrix_user_id, keep_in, *, renew_before=None, device_id=None,
        device_name=None, homeserver_url=None, lifetime=None, overlap=None))]
    #[allow(clippy::too_many_arguments)]
    fn keep_token(
        &self,
        py: Python<'_>,
        matrix_user_id: String,
        keep_in: String,
        renew_before: Option<&Bound<'_, PyAny>>,
        device_id: Option<String>,
        device_name: Option<String>,
        homeserver_url: Option<String>,
        lifetime: Option<&Bound<'_, PyAny>>,
        overlap: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let options = KeepOptions {
            keep_in,
            renew_before: lifetime_of("renew_before", renew_before)?,
            device_id,
            device_name,
            homeserver_url,
            lifetime: lifetime_of("lifetime", lifetime)?,
            overlap: duration_of("overlap", overlap)?.unwrap_or(OVERLAP),
        };
        self.run(py, |core| verbs::keep_token(core, matrix_user_id, options))
    }

    #[pyo3(signature = (matrix_user_id, *, dry_run=false))]
    fn rotate_secret(
        &self,
        py: Python<'_>,
        matrix_user_id: String,
        dry_run: bool,
    ) -> PyResult<Py<PyAny>> {
        self.run(py, |core| verbs::rotate_secret(core, matrix_user_id, dry_run))
    }

    #[pyo3(signature = (matrix_user_id, *, deactivate=false, wait=false, dry_run=false))]
    fn revoke_user(
        &self,
        py: Python<'_>,
        matrix_user_id: String,
        deactivate: bool,
        wait: bool,
        dry_run: bool,
    ) -> PyResult<Py<PyAny>> {
        let options = RevokeOptions { deactivate, wait, dry_run };
        self.run(py, |core| verbs::revoke_user(core, matrix_user_id, options))
    }

    #[pyo3(signature = (matrix_user_id, *, display_name=None, avatar=None, access_token=None))]
    fn update_profile(
        &self,
        py: Python<'_>,
        matrix_user_id: String,
        display_name: Option<String>,
        avatar: Option<String>,
        access_token: Option<String>,
    ) -> PyResult<Py<PyAny>> {
        let token = access_token.map(SecretString::from);
        self.run(py, |core| {
            verbs::update_profile(core, matrix_user_id, display_name, avatar, token)
        })
    }

    fn read_lease(&self, py: Python<'_>, matrix_user_id: String) -> PyResult<Py<PyAny>> {
        self.run(py, |core| verbs::read_lease(core, matrix_user_id))
    }

    fn renew_lease(&self, py: Python<'_>, lease_id: String) -> PyResult<Py<PyAny>> {
        self.run(py, |core| verbs::renew_lease(core, lease_id))
    }

    fn revoke_lease(&self, py: Python<'_>, lease_id: String) -> PyResult<Py<PyAny>> {
        self.run(py, |core| verbs::revoke_lease(core, lease_id))
    }

    fn list_users(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.run(py, verbs::list_users)
    }

    #[pyo3(signature = (matrix_user_id=None))]
    fn diagnose(&self, py: Python<'_>, matrix_user_id: Option<String>) -> PyResult<Py<PyAny>> {
        self.run(py, |core| verbs::diagnose(core, matrix_user_id))
    }

    fn __repr__(&self) -> String {
        let provisioning::Config { homeserver, server_name, .. } = &self.shared.config;
        format!("<Provisioner of {server_name} at {}>", homeserver.url)
    }
}

impl Provisioner {
    /// Runs a verb to its end, or starts it and returns what to await.
    fn run<T, F>(&self, py: Python<'_>, verb: impl FnOnce(Core) -> F) -> PyResult<Py<PyAny>>
    where
        T: for<'py> IntoPyObject<'py> + Send + 'static,
        F: Future<Output = Finished<T>> + Send + 'static,
    {
        let working = verb(self.shared.core(py)?);
        let inbox = self.shared.inbox.clone();
        match self.calls {
            Calls::Block => {
                VerbResult { result: runtime::block_on(py, working)?, inbox }.into_py_any(py)
            }
            Calls::Return => {
                pyo3_async_runtimes::generic::future_into_py::<runtime::Shared, _, _>(py, async {
                    Ok(VerbResult { result: working.await, inbox })
                })
                .map(Bound::unbind)
            }
        }
    }
}

impl Shared {
    /// The core, which is made when it is first needed, and again in a forked child.
    fn core(&self, py: Python<'_>) -> PyResult<Core> {
        // Python must not run while the lock is held: whoever waits for it may hold the GIL.
        match self.opened(&runtime::handle()?) {
            Ok(Some(core)) => Ok(core),
            Ok(None) => Err(PyRuntimeError::new_err("the Provisioner is closed")),
            Err(error) => Err(error::to_exception(py, &error)),
        }
    }

    fn opened(&self, handle: &Handle) -> Finished<Option<Core>> {
        let mut open = self.open.lock();
        match &*open {
            Open::NoMore => return Ok(None),
            Open::Yes(running) => {
                if let Ok(Running { core, .. }) = running.get() {
                    return Ok(Some(Arc::clone(core)));
                }
            }
            Open::NotYet => {}
        }
        let inbox = self.inbox.clone();
        let core = Arc::new(provisioning::Provisioner::new(
            self.config.clone(),
            Notices::new(move |notice| inbox.keep(notice)),
        )?);
        let token_keeper = handle.spawn(core.keep_token_alive()).abort_handle();
        let running = Running { core: Arc::clone(&core), token_keeper };
        *open = Open::Yes(ProcessLocal::new(running));
        Ok(Some(core))
    }
}

/// A lifetime as Python gives it, in seconds or in words such as `30d`.
fn lifetime_of(key: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    read_as(conversion::lifetime, key, value)
}

/// A time to wait.
fn duration_of(key: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    read_as(conversion::duration, key, value)
}

fn read_as(
    read: impl Fn(&Bound<'_, PyAny>) -> Result<Duration, String>,
    key: &str,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    read(value)
        .map(Some)
        .map_err(|problem| error::of_settings(value.py(), SettingsError::new(key, problem)))
}
