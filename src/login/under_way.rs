//! Logins from their beginning to their outcome. The entry is read while the homeserver looks for the
//! account, so that a login takes as long as the slower of the two.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::decider::{Ahead, LoginDecider};
use super::decision::LoginAttempt;
use super::outcome::{Code, Outcome};
use crate::sync::Mutex;
use crate::user_id::UserId;

/// Takes the outcome of a login, with its number.
type Post = dyn Fn(u64, Outcome) + Send + Sync;

/// The logins that have begun and have no outcome yet, by their numbers.
pub struct LoginsUnderWay {
    runtime: Handle,
    shared: Arc<Shared>,
}

/// What tasks need.
struct Shared {
    decider: Arc<LoginDecider>,
    post: Box<Post>,
    logins: Mutex<HashMap<u64, Login>>,
}

/// How far a login is.
enum Login {
    /// The homeserver has not said who the user is.
    Begun(LoginAttempt, ReadAhead),
    /// It has, and the outcome goes to `post`.
    Deciding(AbortHandle),
}

/// What is read before the homeserver has said who the user is.
enum ReadAhead {
    /// Nothing that counts: a secret in memory fits, or the user has another id than was sent.
    Nothing,
    /// The user's entry, which a task is reading. `known` gives it the login to decide.
    UnderWay { known: oneshot::Sender<LoginAttempt>, task: AbortHandle },
    /// The user's entry. No task is left.
    Ended(Ahead),
}

impl LoginsUnderWay {
    /// Has none yet. What is decided on `runtime` goes to `post`.
    pub fn new(
        decider: Arc<LoginDecider>,
        runtime: Handle,
        post: impl Fn(u64, Outcome) + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared { decider, post: Box::new(post), logins: Mutex::default() };
        Self { runtime, shared: Arc::new(shared) }
    }

    /// Begins a login of the id that was sent. Its entry is read, unless a secret in memory fits:
    /// a refusal takes as long whether the user's secret is in memory or not.
    pub fn begin(&self, number: u64, attempt: LoginAttempt) {
        // Held until the login is there: the task looks for it once it has read.
        let mut logins = self.shared.logins.lock();
        let read = if self.shared.decider.fits_memory(&attempt) {
            ReadAhead::Nothing
        } else {
            let (known, waiting) = oneshot::channel();
            let reading =
                Arc::clone(&self.shared).read_ahead(number, attempt.user_id.clone(), waiting);
            ReadAhead::UnderWay { known, task: self.spawn(number, reading) }
        };
        logins.insert(number, Login::Begun(attempt, read));
    }

    /// The id with which a login was begun; `None` if there is no such login, or it is known
    /// already who the user is.
    pub fn begun_as(&self, number: u64) -> Option<UserId> {
        match self.shared.logins.lock().get(&number)? {
            Login::Begun(attempt, _) => Some(attempt.user_id.clone()),
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
        let begun = self.shared.logins.lock().remove(&number);
        let (mut attempt, mut read) = match begun {
            Some(Login::Begun(attempt, read)) => (attempt, read),
            Some(Login::Deciding(task)) => {
                self.shared.logins.lock().insert(number, Login::Deciding(task));
                return None;
            }
            None => return Some(not_running()),
        };
        attempt.is_registered = is_registered;
        if let Some(user_id) = another {
            read.abort();
            attempt.user_id = user_id;
            read = ReadAhead::Nothing;
        }
        // Memory may have lost or replaced the secret while the homeserver looked for the account.
        if is_registered
            && matches!(read, ReadAhead::Nothing)
            && self.shared.decider.fits_memory(&attempt)
        {
            return Some(self.shared.decider.accept_from_memory());
        }
        if is_registered {
            self.shared.decider.count_miss();
        }
        let task = match read {
            ReadAhead::UnderWay { known, task } => match known.send(attempt) {
                Ok(()) => task,
                // What read ahead has failed.
                Err(attempt) => self.decide_by(number, attempt, None),
            },
            // No thread is woken for what can be decided here.
            ReadAhead::Ended(ahead) => match self.shared.decider.decide_at_once(&attempt, &ahead) {
                Some(outcome) => return Some(self.shared.with_path(&attempt, outcome)),
                None => self.decide_by(number, attempt, Some(ahead)),
            },
            ReadAhead::Nothing => self.decide_by(number, attempt, None),
        };
        self.shared.logins.lock().insert(number, Login::Deciding(task));
        None
    }

    /// Gives a login up. What is read for nobody else is read no further.
    pub fn abandon(&self, number: u64) {
        match self.shared.logins.lock().remove(&number) {
            Some(Login::Begun(_, read)) => read.abort(),
            Some(Login::Deciding(task)) => task.abort(),
            None => {}
        }
    }

    /// Forgets a login whose outcome has been collected.
    pub fn end(&self, number: u64) {
        self.shared.logins.lock().remove(&number);
    }

    fn decide_by(&self, number: u64, attempt: LoginAttempt, ahead: Option<Ahead>) -> AbortHandle {
        let decider = Arc::clone(&self.shared.decider);
        self.spawn(number, async move {
            let outcome = match ahead {
                Some(ahead) => decider.decide_by(&attempt, ahead).await,
                None => decider.decide(&attempt).await,
            };
            Some((attempt, outcome))
        })
    }

    fn spawn(
        &self,
        number: u64,
        deciding: impl Future<Output = Option<(LoginAttempt, Outcome)>> + Send + 'static,
    ) -> AbortHandle {
        let shared = Arc::clone(&self.shared);
        let task = self.runtime.spawn(async move {
            // Whatever happens, the homeserver waits for an answer.
            let outcome = match AssertUnwindSafe(deciding).catch_unwind().await {
                Ok(None) => return,
                Ok(Some((attempt, outcome))) => shared.with_path(&attempt, outcome),
                Err(_) => {
                    Outcome::new(Code::VaultError, "the login service failed; please report this")
                }
            };
            (shared.post)(number, outcome);
        });
        task.abort_handle()
    }
}

impl Shared {
    /// Reads a user's entry, and decides by it if the homeserver says who the user is before it has
    /// been read. Else it is left for [`LoginsUnderWay::decide`].
    async fn read_ahead(
        self: Arc<Self>,
        number: u64,
        user_id: UserId,
        mut waiting: oneshot::Receiver<LoginAttempt>,
    ) -> Option<(LoginAttempt, Outcome)> {
        let (ahead, attempt) = self.decider.read_ahead(user_id, &mut waiting).await?;
        let (attempt, ahead) = if let Some(attempt) = attempt {
            (attempt, ahead)
        } else {
            let ahead = self.leave(number, ahead)?;
            // It has just been said, or the login is given up.
            (waiting.await.ok()?, ahead)
        };
        let outcome = self.decider.decide_by(&attempt, ahead).await;
        Some((attempt, outcome))
    }

    /// Leaves what was read for a login, unless that waits for it no more.
    fn leave(&self, number: u64, ahead: Ahead) -> Option<Ahead> {
        match self.logins.lock().get_mut(&number) {
            Some(Login::Begun(_, read @ ReadAhead::UnderWay { .. })) => {
                *read = ReadAhead::Ended(ahead);
                None
            }
            _ => Some(ahead),
        }
    }

    /// The outcome of a login that was decided by an entry, with the path of that.
    fn with_path(&self, attempt: &LoginAttempt, outcome: Outcome) -> Outcome {
        let path = self.decider.reader().path_of(&attempt.user_id);
        Outcome { path: Some(path), ..outcome }
    }
}

impl ReadAhead {
    /// Reads no further.
    fn abort(&self) {
        if let Self::UnderWay { task, .. } = self {
            task.abort();
        }
    }
}

/// The outcome of a login while the service does not run.
pub fn not_running() -> Outcome {
    let reason = "the homeserver is starting or stopping";
    Outcome::new(Code::VaultUnavailable, reason)
}

#[cfg(test)]
mod tests;
