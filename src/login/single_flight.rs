//! Reads under way: all logins that want the same version of the same entry share one.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use tokio::time::Instant;

use crate::sync::Mutex;
use crate::user_id::UserId;
use crate::vault::{Entry, SLOW_AFTER, VaultError};

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
    /// Resolves to Vault's answer or to an error.
    pub found: Shared<Pin<Box<dyn Future<Output = Found> + Send>>>,
    /// Whether it was started by whoever asked for it now.
    pub is_new: bool,
    asked_at: AskedAt,
}

/// When Vault was asked; nothing while the read waits for `max_concurrent_lookups`.
#[derive(Clone, Default)]
pub struct AskedAt(Arc<OnceLock<Instant>>);

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
    asked_at: AskedAt,
}

impl AskedAt {
    /// Vault is asked now.
    pub fn set_now(&self) {
        self.0.get_or_init(Instant::now);
    }
}

impl SharedRead {
    /// Whether Vault has been asked.
    pub fn is_under_way(&self) -> bool {
        self.asked_at.0.get().is_some()
    }

    /// When it takes so long that another node is asked as well.
    pub fn slow_at(&self) -> Instant {
        self.asked_at.0.get().copied().unwrap_or_else(Instant::now) + SLOW_AFTER
    }

    /// Whether what was found may turn away a login that began then, and not only let it in.
    ///
    /// A read that was under way when the login began may have been answered from before the
    /// secret was replaced, and the client has learnt the new secret since. By such an answer a
    /// right hash would be refused. To let in by it does no harm: a moment earlier the same login
    /// would have been right.
    pub fn may_refuse(&self, login_began: Instant) -> bool {
        self.asked_at.0.get().is_some_and(|asked_at| *asked_at >= login_began)
    }
}

impl SingleFlight {
    /// Joins the read that is under way, or starts one.
    ///
    /// `read` is given what to set when its turn to ask Vault has come.
    pub fn join_or_start<F>(
        self: &Arc<Self>,
        key: &ReadKey,
        read: impl FnOnce(AskedAt) -> F,
    ) -> SharedRead
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let mut listed = self.listed();
        if let Some(read) = listed.get(key)
            && let Some(found) = read.found.upgrade()
        {
            return SharedRead { found, is_new: false, asked_at: read.asked_at.clone() };
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let asked_at = AskedAt::default();
        let unlist = Unlist { single_flight: Arc::clone(self), key: key.clone(), number };
        let reading = read(asked_at.clone());
        let found = async move {
            let found = reading.await;
            // Nobody may join any more: what comes now must be answered by what Vault holds now.
            drop(unlist);
            found
        };
        let found = found.boxed().shared();
        if let Some(weak) = found.downgrade() {
            let asked_at = asked_at.clone();
            listed.insert(key.clone(), Listed { number, found: weak, asked_at });
        }
        SharedRead { found, is_new: true, asked_at }
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
