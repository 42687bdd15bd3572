//! Reads under way, which all logins that want the same share.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

use crate::sync::Mutex;
use crate::user_id::UserId;
use crate::vault::{Entry, VaultError};

/// What a read found.
pub type Found = Result<Arc<Entry>, VaultError>;

/// What a read is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadKey {
    /// Whose entry.
    pub user_id: UserId,
    /// Which version of it; the newest if `None`.
    pub number: Option<u64>,
}

/// One read, which several logins may wait for.
#[derive(Clone)]
pub struct SharedRead {
    /// Resolves when Vault has answered, or has not.
    pub found: Shared<Pin<Box<dyn Future<Output = Found> + Send>>>,
    is_under_way: Arc<AtomicBool>,
}

/// The reads under way.
#[derive(Default)]
pub struct SingleFlight {
    listed: Mutex<HashMap<ReadKey, Listed>>,
    number: AtomicU64,
}

/// A read as others find it. It ends when those who wait for it give up.
struct Listed {
    number: u64,
    found: WeakShared<Pin<Box<dyn Future<Output = Found> + Send>>>,
    is_under_way: Arc<AtomicBool>,
}

impl SharedRead {
    /// Whether it has left the queue of `max_concurrent_lookups`.
    pub fn is_under_way(&self) -> bool {
        self.is_under_way.load(Ordering::Relaxed)
    }
}

impl SingleFlight {
    /// Joins the read that is under way, or starts one. Says whether it started it.
    ///
    /// `read` is given what to set when its turn to ask Vault has come.
    pub fn join_or_start<F>(
        self: &Arc<Self>,
        key: &ReadKey,
        read: impl FnOnce(Arc<AtomicBool>) -> F,
    ) -> (SharedRead, bool)
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let mut listed = self.listed();
        if let Some(read) = listed.get(key)
            && let Some(found) = read.found.upgrade()
        {
            let is_under_way = Arc::clone(&read.is_under_way);
            return (SharedRead { found, is_under_way }, false);
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let is_under_way = Arc::new(AtomicBool::new(false));
        let unlist = Unlist { single_flight: Arc::clone(self), key: key.clone(), number };
        let reading = read(Arc::clone(&is_under_way));
        let found = async move {
            let found = reading.await;
            // Nobody may join any more: what comes now must be answered by what Vault holds now.
            drop(unlist);
            found
        };
        let found = found.boxed().shared();
        if let Some(weak) = found.downgrade() {
            let is_under_way = Arc::clone(&is_under_way);
            listed.insert(key.clone(), Listed { number, found: weak, is_under_way });
        }
        (SharedRead { found, is_under_way }, true)
    }

    fn listed(&self) -> MutexGuard<'_, HashMap<ReadKey, Listed>> {
        self.listed.lock()
    }
}

/// Takes a read off the list when it ends, also when nobody waits for it any more.
struct Unlist {
    single_flight: Arc<SingleFlight>,
    key: ReadKey,
    number: u64,
}

impl Drop for Unlist {
    fn drop(&mut self) {
        let mut listed = self.single_flight.listed();
        if listed.get(&self.key).is_some_and(|read| read.number == self.number) {
            listed.remove(&self.key);
        }
    }
}
