//! What must not happen at once: to one user, logins go on side by side, a change of the secret
//! waits for them and they for it.

use std::collections::HashMap;
use std::sync::Arc;

use synapse_vault_auth_provider_core::retry::Deadline;
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::timeout_at;

use crate::logical::LogicalError;

/// How many locks are kept before those that nobody holds are dropped.
const MOST_IDLE: usize = 1024;

/// Something happens that others of its kind do not disturb.
pub type Shared = OwnedRwLockReadGuard<()>;

/// Nothing else happens.
pub type Exclusive = OwnedRwLockWriteGuard<()>;

/// A lock for each user, or for each homeserver, that something happens to.
pub struct Locks {
    locks: Mutex<HashMap<String, Arc<RwLock<()>>>>,
    /// What keeps a change from its turn.
    why_busy: &'static str,
}

impl Locks {
    /// No locks yet. `why_busy` says what keeps a change from its turn.
    #[must_use]
    pub fn new(why_busy: &'static str) -> Self {
        Self { locks: Mutex::default(), why_busy }
    }

    /// A login begins, once no change is under way.
    ///
    /// # Errors
    /// 503 when a change takes longer than this.
    pub async fn log_in(&self, name: &str, deadline: Deadline) -> Result<Shared, LogicalError> {
        let waiting = timeout_at(deadline.at(), self.lock(name).read_owned());
        waiting.await.map_err(|_| busy("the user is being changed"))
    }

    /// A change begins, once nothing else is under way.
    ///
    /// # Errors
    /// 503 when that takes longer than this.
    pub async fn change(&self, name: &str, deadline: Deadline) -> Result<Exclusive, LogicalError> {
        let waiting = timeout_at(deadline.at(), self.lock(name).write_owned());
        waiting.await.map_err(|_| busy(self.why_busy))
    }

    fn lock(&self, name: &str) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock();
        if locks.len() > MOST_IDLE {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        Arc::clone(locks.entry(name.to_owned()).or_default())
    }
}

fn busy(why: &str) -> LogicalError {
    LogicalError::status(503, format!("{why}; try again"))
}
