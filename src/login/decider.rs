//! Decides a login within its deadline: reads until an entry may decide, and judges by it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::config::Config;
use super::decision::LoginAttempt;
use super::entry_reader::EntryReader;
use super::outcome::{Code, LookupError, Outcome, Severity};
use super::rotation::Rotation;
use super::single_flight::{Found, ReadKey, SharedRead};
use crate::notice::Notices;
use crate::retry::{Backoff, Deadline};
use crate::user_id::UserId;
use crate::vault::{Entry, VaultError};

/// The bounds of the wait before the second read and of all later ones.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// With less time than this left another read is not worth it.
const SHORTEST_LEFT: Duration = Duration::from_millis(20);

/// Decides logins by what Vault holds.
pub struct LoginDecider {
    reader: Arc<EntryReader>,
    rotation: Option<Rotation>,
    login_timeout: Duration,
}

/// What one login has used of its time, and why it read again.
struct Progress {
    began: Instant,
    deadline: Deadline,
    backoff: Backoff,
    /// Why the version in question was read again last.
    last_error: Option<VaultError>,
    /// Whether another node than the one in use holds something else than the client's secret.
    is_contradicted: bool,
}

/// A read that was begun before the homeserver had looked for the account.
pub struct Ahead {
    read: SharedRead,
    began: Instant,
    /// How long Vault was waited for meanwhile.
    spent: Duration,
}

/// What is known of one version of an entry in the end.
enum Answer {
    /// What it holds.
    Entry(Arc<Entry>),
    /// Vault does not answer, and the hash is that of a secret in memory.
    FitsStale,
    /// The node in use takes long, and the hash is that of the secret at another one.
    FitsElsewhere,
    /// Nothing.
    Unknown(LookupError),
}

/// What waiting for a read came to.
enum Waited {
    /// The read has ended.
    Found(Found),
    /// Another node holds the client's secret.
    FitsElsewhere,
    /// The login's time is over.
    OutOfTime,
}

impl LoginDecider {
    /// Decides by what `reader` reads.
    pub fn new(reader: Arc<EntryReader>, config: &Config, notices: Notices) -> Self {
        let rotation = Rotation::new(config.rotation_grace, notices);
        if let Some(rotation) = &rotation {
            rotation.warn_if_useless(config.vault.kv_version, None);
        }
        Self { reader, rotation, login_timeout: config.login_timeout }
    }

    /// What reads the entries.
    pub fn reader(&self) -> &Arc<EntryReader> {
        &self.reader
    }

    /// Whether the login may be decided by a secret in memory, without asking Vault, if the
    /// homeserver has the user.
    pub fn fits_memory(&self, attempt: &LoginAttempt) -> bool {
        self.reader.fits_fresh(attempt)
    }

    /// Accepts a login that [`fits_memory`](Self::fits_memory).
    pub fn accept_from_memory(&self) -> Outcome {
        self.reader.count_memory_use(true);
        Outcome::new(Code::Ok, "the token hash is right (from memory)")
    }

    /// Decides a login within `login_timeout`.
    pub async fn decide(&self, attempt: &LoginAttempt) -> Outcome {
        self.decide_from(attempt, None, Progress::new(self.login_timeout)).await
    }

    /// Reads a user's entry while the homeserver looks for the account.
    ///
    /// Vault is asked once before the homeserver has answered. Returns as soon as the read has ended
    /// or `attempt` says what the homeserver has found; `None` if it never will: the read is dropped
    /// then.
    pub async fn read_ahead(
        &self,
        user_id: UserId,
        attempt: &mut oneshot::Receiver<LoginAttempt>,
    ) -> Option<(Ahead, Option<LoginAttempt>)> {
        let began = Instant::now();
        let read = self.reader.read(&ReadKey { user_id, number: None });
        let attempt = tokio::select! {
            biased;
            attempt = attempt => Some(attempt.ok()?),
            _ = read.found.clone() => None,
        };
        Some((Ahead { read, began, spent: began.elapsed() }, attempt))
    }

    /// Decides a login whose account the homeserver has looked for, by what was read ahead.
    pub async fn decide_by(&self, attempt: &LoginAttempt, ahead: Ahead) -> Outcome {
        // Only the time in which Vault was waited for counts for `login_timeout`.
        let left = self.login_timeout.saturating_sub(ahead.spent);
        let progress = Progress { began: ahead.began, ..Progress::new(left) };
        let is_old = self.is_old(&ahead);
        let ahead = Some(ahead.read).filter(|_| !is_old);
        self.decide_from(attempt, ahead, progress).await
    }

    /// Whether Vault has answered longer than `login_timeout` ago, because the homeserver took so
    /// long. Then it is asked again: the secret may have been replaced meanwhile.
    fn is_old(&self, ahead: &Ahead) -> bool {
        ahead.began.elapsed().saturating_sub(ahead.spent) > self.login_timeout
    }

    /// The same without waiting; `None` if Vault must be asked again.
    pub fn decide_at_once(&self, attempt: &LoginAttempt, ahead: &Ahead) -> Option<Outcome> {
        let newest = ahead.read.found.peek()?.as_ref().ok()?;
        if self.is_old(ahead) || !may_decide(attempt, newest, &ahead.read, ahead.began) {
            return None;
        }
        let outcome = attempt.judge(Ok(newest));
        self.rotation_for(newest, &outcome).is_none().then_some(outcome)
    }

    /// Counts a login for which memory holds nothing that fits.
    pub fn count_miss(&self) {
        self.reader.count_memory_use(false);
    }

    /// Decides a login; `ahead` is a read of the newest version that was begun already.
    async fn decide_from(
        &self,
        attempt: &LoginAttempt,
        mut ahead: Option<SharedRead>,
        mut progress: Progress,
    ) -> Outcome {
        let newest = ReadKey { user_id: attempt.user_id.clone(), number: None };
        let newest = match self.ask(attempt, &newest, &mut progress, &mut ahead).await {
            Answer::Entry(newest) => newest,
            Answer::FitsStale => return fits_stale(),
            Answer::FitsElsewhere => return fits_elsewhere(),
            Answer::Unknown(error) => return attempt.judge(Err(error)),
        };
        let outcome = attempt.judge(Ok(&newest));
        match self.rotation_for(&newest, &outcome) {
            Some(rotation) => {
                self.decide_by_previous(attempt, rotation, &newest, &mut progress, outcome).await
            }
            None => outcome,
        }
    }

    /// The rule by which a login may still be accepted that the newest version refuses.
    fn rotation_for(&self, newest: &Entry, outcome: &Outcome) -> Option<&Rotation> {
        let rotation = self.rotation.as_ref()?;
        rotation.warn_if_useless(self.reader.kv().known_version(), Some(newest));
        (outcome.code.severity() == Severity::Refused).then_some(rotation)
    }

    /// Reads the version before the newest one, if a hash of it is still accepted.
    ///
    /// If it is not, another read is made all the same, and its result is dropped: the time taken
    /// must not tell who has a secret, nor whose was replaced a short while ago.
    async fn decide_by_previous(
        &self,
        attempt: &LoginAttempt,
        rotation: &Rotation,
        newest: &Entry,
        progress: &mut Progress,
        refusal: Outcome,
    ) -> Outcome {
        let previous = rotation.previous(newest);
        let number = Some(previous.map_or(1, |previous| previous.number));
        let key = ReadKey { user_id: attempt.user_id.clone(), number };
        progress.last_error = None;
        match (self.ask(attempt, &key, progress, &mut None).await, previous) {
            (Answer::FitsStale, _) => fits_stale(),
            (Answer::FitsElsewhere, _) => fits_elsewhere(),
            (Answer::Entry(entry), Some(previous)) => {
                attempt.judge_by_previous(Ok(&entry), previous, &refusal)
            }
            (Answer::Unknown(error), Some(previous)) => {
                attempt.judge_by_previous(Err(error), previous, &refusal)
            }
            (Answer::Entry(_) | Answer::Unknown(_), None) => attempt.equalize_timing(&refusal),
        }
    }

    /// Reads one version of an entry until there is an answer to judge by. `ahead` is a read of it
    /// that was begun already.
    async fn ask(
        &self,
        attempt: &LoginAttempt,
        key: &ReadKey,
        progress: &mut Progress,
        ahead: &mut Option<SharedRead>,
    ) -> Answer {
        loop {
            let read = ahead.take().unwrap_or_else(|| self.reader.read(key));
            if read.is_new && progress.last_error.is_some() {
                self.reader.kv().client().metrics().retries.count();
            }
            let found = match self.wait_for(attempt, key, &read, progress).await {
                Waited::Found(found) => found,
                Waited::FitsElsewhere => return Answer::FitsElsewhere,
                Waited::OutOfTime => return self.out_of_time(attempt, progress, &read),
            };
            let error = match found {
                Ok(entry) if may_decide(attempt, &entry, &read, progress.began) => {
                    return Answer::Entry(entry);
                }
                Ok(_) => continue,
                Err(error) => error,
            };
            if self.accepts_stale(attempt, progress, &error) {
                return Answer::FitsStale;
            }
            if !error.is_transient() {
                return Answer::Unknown(error.into());
            }
            if let Err(error) = progress.wait(error).await {
                return Answer::Unknown(error.into());
            }
        }
    }

    /// Waits for a read until the deadline. If it takes long, another node is asked as well.
    ///
    /// Only the node in use is sure to have what was written last, so the other one's word counts
    /// for little: it lets in whose hash fits, as that node's answer would have a moment ago. It
    /// turns nobody away, registers nobody, and starts no rotation grace.
    async fn wait_for(
        &self,
        attempt: &LoginAttempt,
        key: &ReadKey,
        read: &SharedRead,
        progress: &mut Progress,
    ) -> Waited {
        let deadline = progress.deadline.at();
        let may_ask_another = key.number.is_none() && self.reader.has_other_nodes();
        let mut found = read.found.clone();
        let until = if may_ask_another { read.slow_at().min(deadline) } else { deadline };
        if let Ok(found) = timeout_at(until, &mut found).await {
            return Waited::Found(found);
        }
        if !may_ask_another {
            return Waited::OutOfTime;
        }
        let another = async {
            match self.reader.read_from_another_node(&attempt.user_id).await {
                Some(entry) => entry,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            biased;
            found = &mut found => return Waited::Found(found),
            heard = timeout_at(deadline, another) => heard,
        };
        let Ok(entry) = heard else { return Waited::OutOfTime };
        if !attempt.fits_entry(&entry) {
            progress.is_contradicted = true;
        } else if attempt.is_registered {
            return Waited::FitsElsewhere;
        }
        match timeout_at(deadline, found).await {
            Ok(found) => Waited::Found(found),
            Err(_) => Waited::OutOfTime,
        }
    }

    /// The answer of a login whose time is over.
    fn out_of_time(
        &self,
        attempt: &LoginAttempt,
        progress: &mut Progress,
        read: &SharedRead,
    ) -> Answer {
        let error = match progress.last_error.take() {
            Some(error) => error,
            None if read.is_under_way() || progress.is_contradicted => self.reader.timed_out(),
            // This read is still queued. If Vault is what holds up the queue, it is unavailable for
            // this login too.
            None => match self.reader.outage() {
                Some(error) if self.reader.fits_stale(attempt) => error,
                _ => return Answer::Unknown(LookupError::Overloaded),
            },
        };
        if self.accepts_stale(attempt, progress, &error) {
            return Answer::FitsStale;
        }
        Answer::Unknown(error.into())
    }

    /// Whether a login is accepted by a secret in memory because Vault does not answer.
    ///
    /// It is not once another node was heard to hold something else: then the secret in memory is
    /// one that was replaced.
    fn accepts_stale(
        &self,
        attempt: &LoginAttempt,
        progress: &Progress,
        error: &VaultError,
    ) -> bool {
        let is_accepted =
            error.allows_stale() && !progress.is_contradicted && self.reader.fits_stale(attempt);
        if is_accepted {
            self.reader.note_stale_use(error);
        }
        is_accepted
    }
}

impl Progress {
    /// Begins now.
    fn new(login_timeout: Duration) -> Self {
        Self {
            began: Instant::now(),
            deadline: Deadline::after(login_timeout),
            backoff: Backoff::new(SHORTEST_WAIT, LONGEST_WAIT),
            last_error: None,
            is_contradicted: false,
        }
    }

    /// Waits until it is worth reading again.
    ///
    /// # Errors
    /// The same error when there is no time left for that.
    async fn wait(&mut self, error: VaultError) -> Result<(), VaultError> {
        let left = self.deadline.left();
        let asked_to_wait = error.retry_after().unwrap_or_default();
        if left < SHORTEST_LEFT || left < asked_to_wait {
            return Err(error);
        }
        self.last_error = Some(error);
        sleep(self.backoff.next_wait().min(left / 2).max(asked_to_wait)).await;
        Ok(())
    }
}

/// Whether a login that began then is decided by what a read found. If the read began before the
/// login, it may only let in, and one that begins now may refuse.
fn may_decide(attempt: &LoginAttempt, found: &Entry, read: &SharedRead, began: Instant) -> bool {
    read.may_refuse(began) || attempt.fits_entry(found)
}

fn fits_elsewhere() -> Outcome {
    Outcome::new(Code::Ok, "the token hash is right (from another node; the active one is slow)")
}

fn fits_stale() -> Outcome {
    Outcome::new(Code::Ok, "the token hash is right (from memory; Vault does not answer)")
}

#[cfg(test)]
mod tests;
