//! Reads under way, which all logins that want the same share.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

use crate::user_id::UserId;
use crate::vault::{Entry, VaultError};

/// What a read found.
pub type Found = Result<Arc<Entry>, VaultError>;

/// What a read is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Whose entry.
    pub user_id: UserId,
    /// Which version of it; the newest if `None`.
    pub number: Option<u64>,
}

/// One read, which several logins may wait for.
#[derive(Clone)]
pub struct Flight {
    /// Resolves when Vault has answered, or has not.
    pub found: Shared<Pin<Box<dyn Future<Output = Found> + Send>>>,
    is_under_way: Arc<AtomicBool>,
}

/// The reads under way.
#[derive(Default)]
pub struct Flights {
    listed: Mutex<HashMap<Wanted, Listed>>,
    number: AtomicU64,
}

/// A flight as others find it. It ends when those who wait for it give up.
struct Listed {
    number: u64,
    found: WeakShared<Pin<Box<dyn Future<Output = Found> + Send>>>,
    is_under_way: Arc<AtomicBool>,
}

impl Flight {
    /// Whether it has left the queue of `max_concurrent_lookups`.
    pub fn is_under_way(&self) -> bool {
        self.is_under_way.load(Ordering::Relaxed)
    }
}

impl Flights {
    /// Joins the read that is under way, or starts one. Says whether it started it.
    ///
    /// `read` is given what to set when its turn to ask Vault has come.
    pub fn join_or_start<F>(
        self: &Arc<Self>,
        wanted: &Wanted,
        read: impl FnOnce(Arc<AtomicBool>) -> F,
    ) -> (Flight, bool)
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let mut listed = self.listed();
        if let Some(flight) = listed.get(wanted)
            && let Some(found) = flight.found.upgrade()
        {
            let is_under_way = Arc::clone(&flight.is_under_way);
            return (Flight { found, is_under_way }, false);
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let is_under_way = Arc::new(AtomicBool::new(false));
        let unlist = Unlist { flights: Arc::clone(self), wanted: wanted.clone(), number };
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
            listed.insert(wanted.clone(), Listed { number, found: weak, is_under_way });
        }
        (Flight { found, is_under_way }, true)
    }

    fn listed(&self) -> MutexGuard<'_, HashMap<Wanted, Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the list when it ends, also when nobody waits for it any more.
struct Unlist {
    flights: Arc<Flights>,
    wanted: Wanted,
    number: u64,
}

impl Drop for Unlist {
    fn drop(&mut self) {
        let mut listed = self.flights.listed();
        if listed.get(&self.wanted).is_some_and(|flight| flight.number == self.number) {
            listed.remove(&self.wanted);
        }
    }
}
