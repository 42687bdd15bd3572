//! Logins under way: started from one thread, decided on others, collected from the first.
//!
//! The thread that starts logins is the homeserver's reactor, which must neither wait nor be
//! entered from another thread. So a decided login goes into a queue, and a byte into a socket
//! that the reactor watches; the reactor then empties the queue. No thread of ours ever touches
//! the Python interpreter, which may be gone by the time Vault answers.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::decision::Attempt;
use super::lookup::Lookup;
use super::outcome::{Code, Outcome};
use crate::settings::Settings;
use crate::token_hash::PresentedHash;
use crate::user_id::UserId;

/// How long stopping waits for threads to end. They wait for nothing but Vault, so they end at
/// once, but for one inside the system's name resolution, which ends with the process.
const STOP_TIMEOUT: Duration = Duration::from_millis(200);

/// A decided login: the number it was started with, and how it ended.
pub type Completed = (u64, Outcome);

/// Why the service cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The process forked since the service started: its threads stayed with the parent.
    #[error(
        "the login service was started in process {started_in} and used in process {used_in}; \
         start it after the fork"
    )]
    Forked {
        /// The process that has the threads.
        started_in: u32,
        /// The process that asked.
        used_in: u32,
    },
    /// The operating system gave no socket or no thread.
    #[error("cannot start the login service: {0}")]
    System(#[from] std::io::Error),
    /// TLS could not be set up.
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
}

/// Decides logins on threads of its own, from [`start`](Self::start) to [`stop`](Self::stop).
pub struct LoginService {
    settings: Settings,
    server_name: String,
    running: Mutex<Option<Running>>,
}

struct Running {
    process: u32,
    runtime: Runtime,
    lookup: Arc<Lookup>,
    completions: Arc<Completions>,
}

/// What a login is decided from, once nothing is wrong with it that Vault need not be asked about.
struct Screened {
    user_id: UserId,
    presented: PresentedHash,
}

impl LoginService {
    /// Makes a service for the users of `server_name`. It has no threads before it is started.
    #[must_use]
    pub fn new(settings: Settings, server_name: impl Into<String>) -> Self {
        Self { settings, server_name: server_name.into(), running: Mutex::new(None) }
    }

    /// Starts the threads. Call it after the last fork.
    ///
    /// # Errors
    /// When the system gives no threads, or TLS cannot be set up. Vault is not asked anything.
    pub fn start(&self) -> Result<(), ServiceError> {
        let mut running = self.running();
        if running.is_some() {
            return Ok(());
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("vault-auth")
            .enable_io()
            .enable_time()
            .build()?;
        *running = Some(Running {
            process: std::process::id(),
            runtime,
            lookup: Arc::new(Lookup::new(self.settings.clone())?),
            completions: Arc::new(Completions::new()?),
        });
        Ok(())
    }

    /// Ends the threads. Logins under way are dropped unanswered; later ones are refused.
    pub fn stop(&self) {
        if let Some(Running { runtime, process, .. }) = self.running().take() {
            if process == std::process::id() {
                runtime.shutdown_timeout(STOP_TIMEOUT);
            } else {
                // Its threads are the parent's; waiting for them here would wait for ever.
                std::mem::forget(runtime);
            }
        }
    }

    /// What is readable whenever [`drain`](Self::drain) has something to return; `None` unless
    /// started. Closed by [`stop`](Self::stop).
    pub fn wakeup(&self) -> Option<RawFd> {
        self.running().as_ref().map(|running| running.completions.receiver.as_raw_fd())
    }

    /// The refusal of a login that is lost whatever the homeserver and Vault would say.
    ///
    /// A `token_hash` of `None` stands for one that is no string, and likewise a `user_id`.
    #[must_use]
    pub fn screen(&self, user_id: Option<&str>, token_hash: Option<&str>) -> Option<Outcome> {
        self.parse(user_id, token_hash).err()
    }

    /// Starts to decide a login; its outcome comes out of [`drain`](Self::drain) under `number`.
    ///
    /// `user_id` is the canonical id if `is_registered`, else the one that was sent: an unknown
    /// user is looked up all the same, and gets the same answer at the same time as a known one.
    ///
    /// Returns the outcome of a login that need not wait for Vault.
    ///
    /// # Errors
    /// When the process has forked since the start.
    pub fn begin(
        &self,
        number: u64,
        user_id: Option<&str>,
        is_registered: bool,
        token_hash: Option<&str>,
    ) -> Result<Option<Outcome>, ServiceError> {
        let Screened { user_id, presented } = match self.parse(user_id, token_hash) {
            Ok(screened) => screened,
            Err(refusal) => return Ok(Some(refusal)),
        };
        let running = self.running();
        let Some(running) = running.as_ref() else {
            let reason = "the homeserver is starting or stopping";
            return Ok(Some(Outcome::new(Code::VaultUnavailable, reason)));
        };
        let used_in = std::process::id();
        if running.process != used_in {
            return Err(ServiceError::Forked { started_in: running.process, used_in });
        }
        let lookup = Arc::clone(&running.lookup);
        let completions = Arc::clone(&running.completions);
        running.runtime.spawn(async move {
            let attempt = Attempt { user_id, is_registered, presented };
            let mut outcome = attempt.judge(lookup.read(&attempt.user_id).await);
            outcome.path = Some(lookup.path_of(&attempt.user_id));
            completions.push((number, outcome));
        });
        Ok(None)
    }

    /// The logins decided since the last call.
    #[must_use]
    pub fn drain(&self) -> Vec<Completed> {
        let running = self.running();
        running.as_ref().map(|running| running.completions.drain()).unwrap_or_default()
    }

    fn parse(&self, user_id: Option<&str>, token_hash: Option<&str>) -> Result<Screened, Outcome> {
        let malformed = crate::user_id::UserIdError::Malformed;
        let user_id = UserId::parse(user_id.ok_or(malformed)?, &self.server_name)?;
        let presented =
            token_hash.and_then(PresentedHash::parse).ok_or_else(Outcome::malformed_hash)?;
        Ok(Screened { user_id, presented })
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LoginService {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The queue of decided logins, and the socket that says it is not empty.
struct Completions {
    queue: Mutex<Vec<Completed>>,
    /// Whether a byte is under way, so that there is never more than one.
    signalled: AtomicBool,
    sender: UnixStream,
    receiver: UnixStream,
}

impl Completions {
    fn new() -> std::io::Result<Self> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        Ok(Self { queue: Mutex::default(), signalled: AtomicBool::new(false), sender, receiver })
    }

    fn push(&self, completed: Completed) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(completed);
        if !self.signalled.swap(true, Ordering::AcqRel) {
            // The one byte fits into an empty socket, whose other end lives as long as this one.
            let _ = (&self.sender).write(&[0]);
        }
    }

    fn drain(&self) -> Vec<Completed> {
        let _ = (&self.receiver).read(&mut [0; 8]);
        // Cleared before the queue is taken: what is pushed after that signals anew.
        self.signalled.store(false, Ordering::Release);
        std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
