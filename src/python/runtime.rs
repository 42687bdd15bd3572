//! The threads that provisioning runs on: one runtime for the process, from the first use to the
//! interpreter's exit.
//!
//! Its threads enter Python to hand results to an event loop. A thread that does so while the
//! interpreter is being torn down aborts the process, so [`end_at_exit`] has
//! them ended before that.

use std::future::Future;
use std::pin::Pin;
use std::sync::MutexGuard;
use std::task::{Context, Poll};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3_async_runtimes::TaskLocals;
use pyo3_async_runtimes::generic::{self, ContextExt, JoinError};
use synapse_vault_auth_provider_core::process::{self, ProcessLocal};
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

/// How long the interpreter's exit waits for threads.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a blocking call looks for signals, such as that of Ctrl-C.
const SIGNALS_CHECKED_EVERY: Duration = Duration::from_millis(50);

static SHARED: Mutex<State> = Mutex::new(State::New);

enum State {
    New,
    Running(ProcessLocal<Runtime>),
    Over,
}

impl State {
    /// The runtime of this process.
    fn runtime(&self) -> Option<&Runtime> {
        match self {
            Self::Running(runtime) => runtime.get().ok(),
            Self::New | Self::Over => None,
        }
    }
}

/// A handle to the runtime, which is started at the first call, and again in a forked child, which
/// has none of its parent's threads.
///
/// # Errors
/// `RuntimeError` at the interpreter's exit, and when the system gives no threads.
pub fn handle() -> PyResult<Handle> {
    // The lock is held by nobody who waits for Python.
    let mut state = state();
    if let Some(runtime) = state.runtime() {
        return Ok(runtime.handle().clone());
    }
    if matches!(*state, State::Over) {
        return Err(at_exit());
    }
    let cannot_start = |error: &dyn std::fmt::Display| {
        PyRuntimeError::new_err(format!("cannot start threads: {error}"))
    };
    let runtime = process::runtime("vault-provision").map_err(|error| cannot_start(&error))?;
    let handle = runtime.get().map_err(|error| cannot_start(&error))?.handle().clone();
    *state = State::Running(runtime);
    Ok(handle)
}

/// Has the threads ended when the interpreter exits, after all that is registered later.
///
/// # Errors
/// What Python has against it.
pub fn end_at_exit(py: Python<'_>) -> PyResult<()> {
    let stop = wrap_pyfunction!(shut_down, py)?;
    py.import("atexit")?.call_method1("register", (stop,)).map(drop)
}

/// Runs a future to its end, or until a signal's handler raises.
///
/// # Errors
/// What the handler raised, such as `KeyboardInterrupt`; the future is dropped then.
pub fn block_on<T: Send + 'static>(
    py: Python<'_>,
    future: impl Future<Output = T> + Send + 'static,
) -> PyResult<T> {
    let handle = handle()?;
    let mut task = handle.spawn(future);
    loop {
        let waiting = async { tokio::time::timeout(SIGNALS_CHECKED_EVERY, &mut task).await };
        let waited = py.detach(|| {
            let waited = handle.block_on(waiting);
            stay_if_over();
            waited
        });
        match waited {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if error.is_cancelled() => return Err(at_exit()),
            Ok(Err(_)) => {
                return Err(PyRuntimeError::new_err("provisioning failed; please report this"));
            }
            Err(_) => py.check_signals().inspect_err(|_| task.abort())?,
        }
    }
}

/// Never returns once the interpreter is about to exit.
///
/// Only daemon threads are left by then. One that wants to be back in Python while the interpreter
/// is torn down, or after, crashes the process; Python from 3.14 on keeps such a thread waiting
/// for ever, and so do we.
fn stay_if_over() {
    if matches!(*state(), State::Over) {
        loop {
            std::thread::park();
        }
    }
}

/// Ends the threads; what they do is dropped.
#[pyfunction]
fn shut_down(py: Python<'_>) {
    let former = std::mem::replace(&mut *state(), State::Over);
    // That of a parent is its own to end.
    if let State::Running(runtime) = former
        && let Some(runtime) = runtime.into_inner()
    {
        py.detach(|| runtime.shutdown_timeout(STOP_TIMEOUT));
    }
}

fn at_exit() -> PyErr {
    PyRuntimeError::new_err("the interpreter is about to exit")
}

fn state() -> MutexGuard<'static, State> {
    SHARED.lock()
}

/// The runtime as `pyo3-async-runtimes` wants it.
pub struct Shared;

/// A task, or nothing once the runtime is gone.
pub struct Spawned(Option<JoinHandle<()>>);

/// Why a task has no result.
pub struct Unfinished(Option<tokio::task::JoinError>);

impl Future for Spawned {
    type Output = Result<(), Unfinished>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(task) => Pin::new(task).poll(context).map_err(|error| Unfinished(Some(error))),
            None => Poll::Ready(Err(Unfinished(None))),
        }
    }
}

impl JoinError for Unfinished {
    fn is_panic(&self) -> bool {
        self.0.as_ref().is_some_and(tokio::task::JoinError::is_panic)
    }

    fn into_panic(self) -> Box<dyn std::any::Any + Send + 'static> {
        match self.0.map(tokio::task::JoinError::try_into_panic) {
            Some(Ok(panic)) => panic,
            _ => Box::new("the task was dropped"),
        }
    }
}

impl generic::Runtime for Shared {
    type JoinError = Unfinished;
    type JoinHandle = Spawned;

    fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) -> Spawned {
        Spawned(running(|runtime| runtime.spawn(future)))
    }

    fn spawn_blocking<F: FnOnce() + Send + 'static>(function: F) -> Spawned {
        Spawned(running(|runtime| runtime.spawn_blocking(function)))
    }
}

fn running<T>(spawn: impl FnOnce(&Runtime) -> T) -> Option<T> {
    state().runtime().map(spawn)
}

tokio::task_local! {
    static LOCALS: TaskLocals;
}

impl ContextExt for Shared {
    fn scope<F, R>(locals: TaskLocals, future: F) -> Pin<Box<dyn Future<Output = R> + Send>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        Box::pin(LOCALS.scope(locals, future))
    }

    fn get_task_locals() -> Option<TaskLocals> {
        LOCALS.try_with(Clone::clone).ok()
    }
}
