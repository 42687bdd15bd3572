//! Logins under way: started from one thread, decided on others, collected from the first.

use std::os::fd::RawFd;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Runtime;

use super::completion_queue::CompletionQueue;
use super::config::Config;
use super::decider::LoginDecider;
use super::decision::LoginAttempt;
use super::entry_reader::EntryReader;
use super::health::Health;
use super::mas::{MasEvent, MasLogins};
use super::metrics::Metrics;
use super::outcome::Outcome;
use super::start;
use super::under_way::{LoginsUnderWay, not_running};
use crate::homeserver::mas::{MasClient, MasError};
use crate::http::BaseUrl;
use crate::notice::{Notice, Notices};
use crate::process::{self, Forked, ProcessLocal};
use crate::sync::Mutex;
use crate::token_hash::PresentedHash;
use crate::user_id::UserId;
use crate::vault::{Client, VaultError};

/// How long stopping waits for threads to end. They wait for nothing but Vault, so they end at
/// once, but for one inside the system's name resolution, which ends with the process.
const STOP_TIMEOUT: Duration = Duration::from_millis(200);

/// How much comes out at once. The homeserver goes on with all logins that are handed to it before
/// it turns to other requests, and each takes it a while.
const DRAINED_AT_ONCE: usize = 8;

/// How long a background task that failed waits before it starts again.
const RESTART_WAIT: Duration = Duration::from_secs(10);

/// What comes out of the service.
pub enum Event {
    /// A decided login: the number it was started with, and how it ended.
    Decided(u64, Outcome),
    /// A check of the service's health: the number it was started with, and what it found.
    Checked(u64, Health),
    /// What came of something that was begun under Matrix Authentication Service: the number it was
    /// begun with, and what came of it.
    Mas(u64, MasEvent),
    /// Something for the log that belongs to no login.
    Noticed(Notice),
}

/// Why the service cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The process forked since the service started: its threads stayed with the parent.
    #[error("the login service was {0}")]
    Forked(#[from] Forked),
    /// The operating system gave no socket or no thread.
    #[error("cannot start the login service: {0}")]
    System(#[from] std::io::Error),
    /// TLS could not be set up.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// TLS could not be set up.
    #[error(transparent)]
    Mas(#[from] MasError),
}

/// Decides logins on threads of its own, from [`start`](Self::start) to [`stop`](Self::stop).
///
/// A process that inherits it by a fork finds it neither started nor stopped: it may start it, and
/// leaves alone what belongs to its parent.
pub struct LoginService {
    config: Config,
    server_name: String,
    announces_start: bool,
    running: Mutex<Option<ProcessLocal<Running>>>,
}

pub(super) struct Running {
    pub(super) runtime: Runtime,
    reader: Arc<EntryReader>,
    logins: LoginsUnderWay,
    pub(super) mas: Option<Arc<MasLogins>>,
    pub(super) completion_queue: Arc<CompletionQueue<Event>>,
}

impl LoginService {
    /// Makes a service for the users of `server_name`. It has no threads before it is started.
    ///
    /// `mas_endpoint` is where Matrix Authentication Service serves clients, if the homeserver leaves
    /// accounts to it.
    #[must_use]
    pub fn new(
        mut config: Config,
        server_name: impl Into<String>,
        mas_endpoint: Option<BaseUrl>,
    ) -> Self {
        if let Some(mas) = &mut config.mas {
            mas.server.public = mas_endpoint;
        }
        let (server_name, running) = (server_name.into(), Mutex::new(None));
        Self { config, server_name, announces_start: false, running }
    }

    /// The same, which says in the log after its start whether logins can be decided.
    #[must_use]
    pub fn announcing_start(mut self) -> Self {
        self.announces_start = true;
        self
    }

    /// The time that one login has.
    #[must_use]
    pub fn login_timeout(&self) -> Duration {
        self.config.login_timeout
    }

    /// Starts the threads. Call it after the last fork.
    ///
    /// # Errors
    /// When the system gives no threads, or TLS cannot be set up. Vault is not asked anything.
    pub fn start(&self) -> Result<(), ServiceError> {
        let mut running = self.running();
        if running.as_ref().is_some_and(ProcessLocal::is_ours) {
            return Ok(());
        }
        let runtime = process::runtime("vault-auth")?;
        let completion_queue = Arc::new(CompletionQueue::new()?);
        let notices = {
            let completion_queue = Arc::clone(&completion_queue);
            Notices::new(move |notice| completion_queue.post(Event::Noticed(notice)))
        };
        let client = Client::new(&self.config.vault, notices.clone())?;
        let mas = match &self.config.mas {
            Some(config) => {
                let client = Arc::new(MasClient::new(config.server.clone(), notices.clone())?);
                Some(Arc::new(MasLogins::new(client, config.clone(), notices.clone())))
            }
            None => None,
        };
        let (config, server_name) = (self.config.clone(), self.server_name.clone());
        let reader = Arc::new(EntryReader::new(client, config, server_name, notices.clone()));
        let decider = LoginDecider::new(Arc::clone(&reader), &self.config, notices.clone());
        let logins = LoginsUnderWay::new(Arc::new(decider), runtime.get()?.handle().clone(), {
            let completion_queue = Arc::clone(&completion_queue);
            move |number, outcome| completion_queue.post(Event::Decided(number, outcome))
        });
        runtime.get()?.spawn(keep_running("the Vault token", notices.clone(), {
            let reader = Arc::clone(&reader);
            move || Arc::clone(&reader).keep_token_alive()
        }));
        if self.announces_start {
            let (reader, notices) = (Arc::clone(&reader), notices.clone());
            runtime.get()?.spawn(async move { start::announce(&reader, &notices).await });
        }
        runtime.get()?.spawn(keep_running("the cache", notices, {
            let reader = Arc::clone(&reader);
            move || Arc::clone(&reader).keep_cache_clean()
        }));
        let running_now = |runtime| Running { runtime, reader, logins, mas, completion_queue };
        *running = Some(runtime.map(running_now)?);
        Ok(())
    }

    /// Ends the threads. Logins under way are dropped unanswered; later ones are refused.
    pub fn stop(&self) {
        // Those of a parent are its own to end.
        if let Some(running) = self.running().take().and_then(ProcessLocal::into_inner) {
            running.runtime.shutdown_timeout(STOP_TIMEOUT);
        }
    }

    /// What is readable whenever [`drain`](Self::drain) has something to return; `None` unless
    /// started. Closed by [`stop`](Self::stop).
    pub fn wakeup(&self) -> Option<RawFd> {
        self.if_running(|running| running.completion_queue.descriptor())
    }

    /// Begins a login, and reads the user's entry while the homeserver looks for the account. Then
    /// call [`decide`](Self::decide) or [`abandon`](Self::abandon).
    ///
    /// `user` is the whole id or the localpart alone; a `token_hash` of `None` stands for one that is
    /// no string. Returns the whole id, and the outcome of a login that is lost whatever the
    /// homeserver and Vault would say.
    ///
    /// # Errors
    /// When the process has forked since the start.
    pub fn begin(
        &self,
        number: u64,
        user: &str,
        token_hash: Option<&str>,
    ) -> Result<(String, Option<Outcome>), ServiceError> {
        let whole = UserId::complete(user, &self.server_name);
        let (user_id, presented) = match self.parse(&whole, token_hash) {
            Ok(parsed) => parsed,
            Err(refusal) => return Ok((whole, Some(refusal))),
        };
        let running = self.running();
        let Some(running) = running.as_ref().map(ProcessLocal::get).transpose()? else {
            return Ok((whole, Some(not_running())));
        };
        let may_register = self.config.allow_registration;
        // The homeserver finds accounts whatever the case, and those of today have no capitals. So an
        // id with capitals takes as long whether there is an account or not. A user who may be
        // registered is looked up under the id that was sent.
        let user_id = if may_register { user_id } else { user_id.in_lower_case() };
        let attempt = LoginAttempt { user_id, is_registered: true, may_register, presented };
        running.logins.begin(number, attempt);
        Ok((whole, None))
    }

    /// Decides a login that was begun under `number`; its outcome comes out of
    /// [`drain`](Self::drain) under the same.
    ///
    /// `canonical_id` is the id that the homeserver has for the user; `None` if it has none. Such a
    /// user is looked up all the same, and gets the same answer at the same time as a known one.
    ///
    /// Returns the outcome of a login that need not wait for Vault.
    ///
    /// # Errors
    /// When the process has forked since the start.
    pub fn decide(
        &self,
        number: u64,
        canonical_id: Option<&str>,
    ) -> Result<Option<Outcome>, ServiceError> {
        let running = self.running();
        let Some(running) = running.as_ref().map(ProcessLocal::get).transpose()? else {
            return Ok(Some(not_running()));
        };
        let begun_as = running.logins.begun_as(number);
        let another = match canonical_id {
            Some(id) if begun_as.is_none_or(|begun_as| begun_as.as_str() != id) => {
                match UserId::parse(id, &self.server_name) {
                    Ok(user_id) => Some(user_id),
                    Err(error) => {
                        running.logins.abandon(number);
                        return Ok(Some(error.into()));
                    }
                }
            }
            _ => None,
        };
        Ok(running.logins.decide(number, canonical_id.is_some(), another))
    }

    /// Gives up a login that was begun under `number`: its outcome does not come out any more, and
    /// what is read for nobody else is read no further.
    pub fn abandon(&self, number: u64) {
        self.if_running(|running| running.logins.abandon(number));
    }

    /// Starts to find out whether logins could be decided now; what is found comes out of
    /// [`drain`](Self::drain) under `number`.
    ///
    /// Returns the answer of a service that does not run.
    #[must_use]
    pub fn begin_check(&self, number: u64) -> Option<Health> {
        let running = self.running();
        let Some(running) = ours(running.as_ref()) else {
            return Some(Health::not_running());
        };
        let reader = Arc::clone(&running.reader);
        let mas = running.mas.clone();
        let completion_queue = Arc::clone(&running.completion_queue);
        running.runtime.spawn(async move {
            let check = async {
                let Some(mas) = mas else { return reader.check().await };
                let (health, version) = tokio::join!(reader.check(), mas.client.version());
                health.with_mas(version.map(drop))
            };
            let checking = AssertUnwindSafe(check).catch_unwind();
            let health = checking.await.unwrap_or_else(|_| Health::not_running());
            completion_queue.post(Event::Checked(number, health));
        });
        None
    }

    /// Some of what has come out, the oldest first. [`wakeup`](Self::wakeup) stays readable while
    /// there is more.
    #[must_use]
    pub fn drain(&self) -> Vec<Event> {
        let drained = self.if_running(|running| {
            let drained = running.completion_queue.take(DRAINED_AT_ONCE);
            for event in &drained {
                if let Event::Decided(number, _) = event {
                    running.logins.end(*number);
                }
            }
            drained
        });
        drained.unwrap_or_default()
    }

    /// What has been counted since the start; `None` unless started.
    #[must_use]
    pub fn metrics(&self) -> Option<Metrics> {
        self.if_running(|running| Metrics::new(Arc::clone(&running.reader), running.mas.clone()))
    }

    pub(super) fn if_running<T>(&self, read: impl FnOnce(&Running) -> T) -> Option<T> {
        ours(self.running().as_ref()).map(read)
    }

    /// The name of the homeserver.
    pub(super) fn server_name(&self) -> &str {
        &self.server_name
    }

    fn parse(
        &self,
        user_id: &str,
        token_hash: Option<&str>,
    ) -> Result<(UserId, PresentedHash), Outcome> {
        let user_id = UserId::parse(user_id, &self.server_name)?;
        let presented =
            token_hash.and_then(PresentedHash::parse).ok_or_else(Outcome::malformed_hash)?;
        Ok((user_id, presented))
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Option<ProcessLocal<Running>>> {
        self.running.lock()
    }
}

/// What runs in this process.
fn ours(running: Option<&ProcessLocal<Running>>) -> Option<&Running> {
    running?.get().ok()
}

/// Starts a background task again whenever it fails.
async fn keep_running<F: Future<Output = ()> + Send>(
    what: &'static str,
    notices: Notices,
    mut work: impl FnMut() -> F + Send,
) {
    loop {
        if AssertUnwindSafe(work()).catch_unwind().await.is_err() {
            notices.error(format!(
                "What looks after {what} failed and starts again; please report this"
            ));
        }
        tokio::time::sleep(RESTART_WAIT).await;
    }
}

impl Drop for LoginService {
    fn drop(&mut self) {
        self.stop();
    }
}
