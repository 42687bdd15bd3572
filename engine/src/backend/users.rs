//! What must not happen to one user at once: logins go on side by side, a change of the secret waits
//! for them and they for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::timeout;

use crate::logical::LogicalError;

/// How many locks are kept before those that nobody holds are dropped.
const MOST_IDLE: usize = 1024;

/// A login of a user is under way.
pub type LoginUnderWay = OwnedRwLockReadGuard<()>;

/// Nothing else happens to a user.
pub type Exclusive = OwnedRwLockWriteGuard<()>;

/// A lock for each user that something happens to.
#[derive(Default)]
pub struct Users(Mutex<HashMap<String, Arc<RwLock<()>>>>);

impl Users {
    /// A login begins.
    ///
    /// # Errors
    /// 503 when a change of the user takes longer than this.
    pub async fn log_in(
        &self,
        user_id: &str,
        limit: Duration,
    ) -> Result<LoginUnderWay, LogicalError> {
        let waiting = timeout(limit, self.lock(user_id).read_owned());
        waiting.await.map_err(|_| busy("the user is being changed"))
    }

    /// A change begins, once no login is under way.
    ///
    /// # Errors
    /// 503 when those under way take longer than this.
    pub async fn change(&self, user_id: &str, limit: Duration) -> Result<Exclusive, LogicalError> {
        let waiting = timeout(limit, self.lock(user_id).write_owned());
        waiting.await.map_err(|_| busy("logins of the user are under way"))
    }

    fn lock(&self, user_id: &str) -> Arc<RwLock<()>> {
        let mut locks = self.0.lock();
        if locks.len() > MOST_IDLE {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        Arc::clone(locks.entry(user_id.to_owned()).or_default())
    }
}

fn busy(why: &str) -> LogicalError {
    LogicalError::status(503, format!("{why}; try again"))
}
