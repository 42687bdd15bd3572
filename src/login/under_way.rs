//! Logins from their beginning to their outcome. The entry is read while the homeserver looks for the
//! account, so that a login takes as long as the slower of the two.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::decider::LoginDecider;
use super::decision::LoginAttempt;
use super::outcome::{Code, Outcome};
use crate::sync::Mutex;
use crate::user_id::UserId;

/// Takes the outcome of a login, with its number.
type Post = dyn Fn(u64, Outcome) + Send + Sync;

/// The logins that have begun and have no outcome yet, by their numbers.
pub struct LoginsUnderWay {
    decider: Arc<LoginDecider>,
    runtime: Handle,
    post: Arc<Post>,
    logins: Mutex<HashMap<u64, Login>>,
}

/// How far a login is.
enum Login {
    /// A secret in memory fits. Nothing is read unless there is no such account, or memory has let go
    /// of the secret by the time that it is found.
    FitsMemory(LoginAttempt),
    /// The entry is being read, or has been, and the homeserver has not said who the user is.
    ReadingAhead { attempt: LoginAttempt, known: oneshot::Sender<LoginAttempt>, task: AbortHandle },
    /// The homeserver has said it.
    Deciding(AbortHandle),
}

impl LoginsUnderWay {
    /// Has none yet. What is decided on `runtime` goes to `post`.
    pub fn new(
        decider: Arc<LoginDecider>,
        runtime: Handle,
        post: impl Fn(u64, Outcome) + Send + Sync + 'static,
    ) -> Self {
        Self { decider, runtime, post: Arc::new(post), logins: Mutex::default() }
    }

    /// Begins a login of the id that was sent. Its entry is read, unless a secret in memory fits:
    /// a refusal takes as long whether the user's secret is in memory or not.
    pub fn begin(&self, number: u64, attempt: LoginAttempt) {
        let login = if self.decider.fits_memory(&attempt) {
            Login::FitsMemory(attempt)
        } else {
            let (known, waiting) = oneshot::channel();
            let (decider, user_id) = (Arc::clone(&self.decider), attempt.user_id.clone());
            let task =
                self.spawn(number, async move { decider.decide_ahead(user_id, waiting).await });
            Login::ReadingAhead { attempt, known, task }
        };
        self.logins.lock().insert(number, login);
    }

    /// The id with which a login was begun; `None` if there is no such login, or it is known
    /// already who the user is.
    pub fn begun_as(&self, number: u64) -> Option<UserId> {
        match self.logins.lock().get(&number)? {
            Login::FitsMemory(attempt) | Login::ReadingAhead { attempt, .. } => {
                Some(attempt.user_id.clone())
            }
            Login::Deciding(_) => None,
        }
    }

    /// Goes on with a login now that it is known whether the homeserver has the user, and under
    /// which id if that is `another` than the one with which it was begun. What was read for the one
    /// with which it was begun is dropped then, and counts for nothing.
    ///
    /// Returns the outcome, unless Vault must be waited for: then it goes to `post`.
    pub fn decide(
        &self,
        number: u64,
        is_registered: bool,
        another: Option<UserId>,
    ) -> Option<Outcome> {
        let begun = self.logins.lock().remove(&number);
        let (mut attempt, ahead) = match begun {
            Some(Login::FitsMemory(attempt)) => (attempt, None),
            Some(Login::ReadingAhead { attempt, known, task }) => (attempt, Some((known, task))),
            Some(Login::Deciding(task)) => {
                self.logins.lock().insert(number, Login::Deciding(task));
                return None;
            }
            None => return Some(not_running()),
        };
        attempt.is_registered = is_registered;
        let task = match (another, ahead) {
            (Some(user_id), ahead) => {
                if let Some((_, task)) = ahead {
                    task.abort();
                }
                attempt.user_id = user_id;
                if is_registered && self.decider.fits_memory(&attempt) {
                    return Some(self.decider.accept_from_memory());
                }
                self.decide_anew(number, attempt)
            }
            // Memory may have lost or replaced the secret while the homeserver looked for the account.
            (None, None) if is_registered && self.decider.fits_memory(&attempt) => {
                return Some(self.decider.accept_from_memory());
            }
            (None, None) => self.decide_anew(number, attempt),
            (None, Some((known, task))) => match known.send(attempt) {
                Ok(()) => task,
                // What read ahead has failed.
                Err(attempt) => self.decide_anew(number, attempt),
            },
        };
        self.logins.lock().insert(number, Login::Deciding(task));
        None
    }

    /// Gives a login up. What is read for nobody else is read no further.
    pub fn abandon(&self, number: u64) {
        match self.logins.lock().remove(&number) {
            Some(Login::ReadingAhead { task, .. } | Login::Deciding(task)) => task.abort(),
            Some(Login::FitsMemory(_)) | None => {}
        }
    }

    /// Forgets a login whose outcome has been collected.
    pub fn end(&self, number: u64) {
        self.logins.lock().remove(&number);
    }

    fn decide_anew(&self, number: u64, attempt: LoginAttempt) -> AbortHandle {
        let decider = Arc::clone(&self.decider);
        self.spawn(number, async move { Some(decider.decide_new(attempt).await) })
    }

    fn spawn(
        &self,
        number: u64,
        deciding: impl Future<Output = Option<(LoginAttempt, Outcome)>> + Send + 'static,
    ) -> AbortHandle {
        let (decider, post) = (Arc::clone(&self.decider), Arc::clone(&self.post));
        let task = self.runtime.spawn(async move {
            // Whatever happens, the homeserver waits for an answer.
            let outcome = match AssertUnwindSafe(deciding).catch_unwind().await {
                Ok(None) => return,
                Ok(Some((attempt, mut outcome))) => {
                    outcome.path = Some(decider.reader().path_of(&attempt.user_id));
                    outcome
                }
                Err(_) => {
                    Outcome::new(Code::VaultError, "the login service failed; please report this")
                }
            };
            post(number, outcome);
        });
        task.abort_handle()
    }
}

/// The outcome of a login while the service does not run.
pub fn not_running() -> Outcome {
    let reason = "the homeserver is starting or stopping";
    Outcome::new(Code::VaultUnavailable, reason)
}

#[cfg(test)]
mod tests;
