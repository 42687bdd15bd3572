//! One call at a time for one account: calls of one process wait for each other instead of
//! contending for the entry.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::sync::Mutex;
use crate::user_id::UserId;

/// The accounts that calls of this process are at work on.
#[derive(Default)]
pub struct AccountLocks(Mutex<HashMap<UserId, Weak<AsyncMutex<()>>>>);

impl AccountLocks {
    /// Waits until no other call is at work on this account, and keeps others waiting until the
    /// guard is dropped.
    pub async fn lock(&self, user_id: &UserId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock();
            locks.retain(|_, lock| lock.strong_count() > 0);
            let lock = locks.get(user_id).and_then(Weak::upgrade).unwrap_or_default();
            locks.insert(user_id.clone(), Arc::downgrade(&lock));
            lock
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_after_the_other_and_nothing_stays() {
        let account_locks = AccountLocks::default();
        let id = |text| UserId::parse(text, "example.org").unwrap();
        let (alice, bob) = (id("@alice:example.org"), id("@bob:example.org"));
        let first = account_locks.lock(&alice).await;
        let others = account_locks.lock(&bob).await;
        let mut second = Box::pin(account_locks.lock(&alice));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        drop((second.await, others));
        drop(account_locks.lock(&bob).await);
        assert_eq!(account_locks.0.lock().len(), 1);
    }
}
