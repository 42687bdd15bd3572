//! Whose turn it is to have MAS open a session.
//!
//! MAS holds a connection to its database and a lock of the user while it tells the homeserver of a
//! new session's device. A burst of logins would take all of its connections, and everybody else's
//! requests would wait. So one session at a time is opened for a user, and few for all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::retry::Deadline;
use crate::sync::Mutex;
use crate::user_id::UserId;

/// How many sessions are opened at the same time.
const AT_ONCE: usize = 4;

/// The turns of users, and those of all.
pub struct Turns {
    users: Arc<Users>,
    creations: Arc<Semaphore>,
    /// How long it took to open the last session.
    takes: Mutex<Duration>,
}

type Users = Mutex<HashMap<UserId, Arc<tokio::sync::Mutex<()>>>>;

/// A user's turn, until it is dropped.
pub struct UserTurn {
    // The first is dropped first, so that the list knows whether anybody else waits.
    _guard: OwnedMutexGuard<()>,
    _listed: Listed,
}

/// A user among those who have their turn or wait for it.
struct Listed {
    users: Arc<Users>,
    user_id: UserId,
}

impl Turns {
    /// Nobody's turn.
    pub fn new() -> Self {
        Self {
            users: Arc::default(),
            creations: Arc::new(Semaphore::new(AT_ONCE)),
            takes: Mutex::default(),
        }
    }

    /// Waits for the user's turn. Who came first has it first.
    pub async fn of_user(&self, user_id: &UserId) -> UserTurn {
        let turn = Arc::clone(self.users.lock().entry(user_id.clone()).or_default());
        // Who gives up waiting leaves the list as well.
        let listed = Listed { users: Arc::clone(&self.users), user_id: user_id.clone() };
        UserTurn { _guard: turn.lock_owned().await, _listed: listed }
    }

    /// Remembers how long it took to open a session.
    pub fn note(&self, took: Duration) {
        *self.takes.lock() = took;
    }

    /// Whether a session would come too late for a login that has waited so long for its turn.
    pub fn is_too_late(&self, waited: Duration, deadline: Deadline) -> bool {
        let takes = *self.takes.lock();
        waited > takes && deadline.left() < takes
    }

    /// Waits until one session more may be opened.
    pub async fn of_creation(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.creations).acquire_owned().await.ok()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut users = self.users.lock();
        // The list's own is one; whoever has the turn or waits for it has another.
        if users.get(&self.user_id).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            users.remove(&self.user_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(&format!("@{name}:example.org"), "example.org").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_has_one_turn_at_a_time_and_others_do_not_wait() {
        let turns = Turns::new();
        let (alice, bob) = (user("alice"), user("bob"));
        let turn = turns.of_user(&alice).await;
        let second = Duration::from_secs(1);
        assert!(timeout(second, turns.of_user(&alice)).await.is_err());
        assert!(timeout(second, turns.of_user(&bob)).await.is_ok());
        drop(turn);
        assert!(timeout(second, turns.of_user(&alice)).await.is_ok());
        assert!(turns.users.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_long_does_not_begin_what_cannot_end_in_time() {
        let (turns, second) = (Turns::new(), Duration::from_secs(1));
        let deadline = Deadline::after(second * 10);
        sleep(second * 9).await;
        // It is not known yet how long a session takes.
        assert!(!turns.is_too_late(second * 9, deadline));
        turns.note(second * 2);
        assert!(turns.is_too_late(second * 9, deadline));
        // Where nobody waits, it is tried whatever the time.
        assert!(!turns.is_too_late(Duration::ZERO, deadline));
        turns.note(second / 2);
        assert!(!turns.is_too_late(second * 9, deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn four_sessions_are_opened_at_once() {
        let turns = Turns::new();
        let mut permits = Vec::new();
        for _ in 0..AT_ONCE {
            permits.push(turns.of_creation().await.unwrap());
        }
        let second = Duration::from_secs(1);
        assert!(timeout(second, turns.of_creation()).await.is_err());
        permits.pop();
        assert!(timeout(second, turns.of_creation()).await.is_ok());
    }
}
