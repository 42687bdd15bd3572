//! One user's secret, asked for until Vault answers or the login's time is over.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::cache::SecretCache;
use super::decision::{Attempt, LookupError};
use super::outcome::{Code, Outcome};
use crate::notice::Notices;
use crate::settings::Settings;
use crate::user_id::UserId;
use crate::vault::{Client, Entry, Kv, VaultError};

/// The longest wait before the second try. It doubles from try to try up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// With less time than this left another try is not worth it.
const SHORTEST_LEFT: Duration = Duration::from_millis(20);

/// How often secrets that have expired are looked for, to wipe them.
const EVICTED_EVERY: Duration = Duration::from_secs(5);

/// How often the log says that logins go by secrets in memory.
const OUTAGE_SAID_EVERY: Duration = Duration::from_secs(10);

/// One read of one user's secret, which several logins may wait for.
#[derive(Clone)]
struct Flight {
    found: Shared<Pin<Box<dyn Future<Output = Found> + Send>>>,
    /// Whether it has left the queue of `max_concurrent_lookups`.
    is_under_way: Arc<AtomicBool>,
}

type Found = Result<Arc<Entry>, VaultError>;

/// A flight as others find it. It ends when those who wait for it give up.
struct Listed {
    number: u64,
    found: WeakShared<Pin<Box<dyn Future<Output = Found> + Send>>>,
    is_under_way: Arc<AtomicBool>,
}

/// Decides logins by what Vault holds, riding out what may pass within a login's time.
pub struct Lookup {
    kv: Kv,
    settings: Settings,
    cache: Option<SecretCache>,
    permits: Semaphore,
    flights: Mutex<HashMap<UserId, Listed>>,
    flight_number: AtomicU64,
    /// Why Vault did not answer when it was asked last; `None` if it did.
    outage: Mutex<Option<VaultError>>,
    outage_said: Mutex<Option<Instant>>,
    notices: Notices,
}

impl Lookup {
    /// Prepares the connections; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings, notices: Notices) -> Result<Self, VaultError> {
        let client = Client::new(&settings.vault, notices.clone())?;
        let permits = usize::try_from(settings.max_concurrent_lookups).unwrap_or(1);
        Ok(Self {
            kv: Kv::new(client, settings.vault.kv_version),
            cache: SecretCache::new(settings.cache),
            permits: Semaphore::new(permits.min(Semaphore::MAX_PERMITS)),
            flights: Mutex::default(),
            flight_number: AtomicU64::new(0),
            outage: Mutex::default(),
            outage_said: Mutex::default(),
            notices,
            settings,
        })
    }

    /// The path of the user's secret as an administrator would write it, mount first.
    pub fn path_of(&self, user_id: &UserId) -> String {
        let vault = &self.settings.vault;
        format!("{}/{}", vault.mount, vault.path_root.entry_of(user_id))
    }

    /// Keeps the token alive; never returns. Run it beside the logins.
    pub async fn keep_token_alive(self: Arc<Self>) {
        self.kv.client().keep_alive().await;
    }

    /// Wipes secrets that have expired; never returns. Run it beside the logins.
    pub async fn keep_cache_clean(self: Arc<Self>) {
        loop {
            sleep(EVICTED_EVERY).await;
            if let Some(cache) = &self.cache {
                cache.evict_expired();
            }
        }
    }

    /// Accepts a login by a secret in memory, without asking Vault; `None` if there is none, or
    /// not one that fits.
    pub fn accept_from_memory(&self, attempt: &Attempt) -> Option<Outcome> {
        let cache = self.cache.as_ref().filter(|_| attempt.is_registered)?;
        cache
            .fresh(&attempt.user_id, |secret| attempt.fits(secret))
            .then(|| Outcome::new(Code::Ok, "the token hash is right (from memory)"))
    }

    /// Decides a login within `login_timeout`.
    pub async fn decide(self: &Arc<Self>, attempt: &Attempt) -> Outcome {
        let deadline = Instant::now() + self.settings.login_timeout;
        let mut waits = full_jitter();
        let mut last_error = None;
        // What a flight finds that was under way already may be older than this login: it may let
        // somebody in, but only one that began later turns them away.
        let mut is_late_enough = false;
        loop {
            let (flight, is_ours) = self.fly(&attempt.user_id);
            let Ok(found) = timeout_at(deadline, flight.found).await else {
                let is_under_way = flight.is_under_way.load(Ordering::Relaxed);
                return self.out_of_time(attempt, last_error, is_under_way);
            };
            let error = match found {
                Err(error) if error.is_transient() => error,
                found => {
                    let outcome = attempt.judge(found.as_deref().map_err(|e| e.clone().into()));
                    if is_ours || is_late_enough || outcome.code == Code::Ok {
                        return outcome;
                    }
                    is_late_enough = true;
                    continue;
                }
            };
            is_late_enough = true;
            if let Some(outcome) = self.accept_as_stale(attempt, &error) {
                return outcome;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let hint = error.retry_after().unwrap_or_default();
            if left < SHORTEST_LEFT || left < hint {
                return attempt.judge(Err(error.into()));
            }
            let wait = waits.next().unwrap_or(LONGEST_WAIT).min(left / 2);
            sleep(wait.max(hint)).await;
            last_error = Some(error);
        }
    }

    /// The outcome of a login that has waited as long as it may.
    fn out_of_time(
        &self,
        attempt: &Attempt,
        last_error: Option<VaultError>,
        is_under_way: bool,
    ) -> Outcome {
        let error = match last_error {
            Some(error) => error,
            None if is_under_way => self.timed_out(),
            // The others before this one wait because Vault is away: then it is, for this one too.
            None => match lock(&self.outage).clone() {
                Some(error) if self.is_known_stale(attempt) => error,
                _ => return attempt.judge(Err(LookupError::Overloaded)),
            },
        };
        self.accept_as_stale(attempt, &error).unwrap_or_else(|| attempt.judge(Err(error.into())))
    }

    /// Accepts a login by a secret in memory because Vault does not answer; `None` if that is not
    /// configured, if there is none, or not one that fits.
    fn accept_as_stale(&self, attempt: &Attempt, error: &VaultError) -> Option<Outcome> {
        if !error.allows_stale() || !self.is_known_stale(attempt) {
            return None;
        }
        let mut said = lock(&self.outage_said);
        if said.is_none_or(|said| said.elapsed() > OUTAGE_SAID_EVERY) {
            *said = Some(Instant::now());
            self.notices.error(format!("Logins go by secrets in memory, because {error}"));
        }
        Some(Outcome::new(Code::Ok, "the token hash is right (from memory; Vault does not answer)"))
    }

    /// Whether a secret in memory fits that may be gone by while Vault does not answer.
    fn is_known_stale(&self, attempt: &Attempt) -> bool {
        self.cache.as_ref().is_some_and(|cache| {
            attempt.is_registered && cache.stale(&attempt.user_id, |secret| attempt.fits(secret))
        })
    }

    /// Joins the read of this user's secret that is under way, or starts one. Says whether it
    /// started it.
    fn fly(self: &Arc<Self>, user_id: &UserId) -> (Flight, bool) {
        let mut flights = lock(&self.flights);
        if let Some(listed) = flights.get(user_id)
            && let Some(found) = listed.found.upgrade()
        {
            let is_under_way = Arc::clone(&listed.is_under_way);
            return (Flight { found, is_under_way }, false);
        }
        let number = self.flight_number.fetch_add(1, Ordering::Relaxed);
        let is_under_way = Arc::new(AtomicBool::new(false));
        let unlist = Unlist { lookup: Arc::clone(self), user_id: user_id.clone(), number };
        let set_off = Arc::clone(&is_under_way);
        let found = async move {
            let found = unlist.lookup.read(&unlist.user_id, &set_off).await;
            // Nobody may join any more: what comes now must be answered by what Vault holds now.
            drop(unlist);
            found
        };
        let found = found.boxed().shared();
        if let Some(weak) = found.downgrade() {
            let is_under_way = Arc::clone(&is_under_way);
            flights.insert(user_id.clone(), Listed { number, found: weak, is_under_way });
        }
        (Flight { found, is_under_way }, true)
    }

    /// Reads once, and keeps what was read as far as that is allowed.
    async fn read(&self, user_id: &UserId, set_off: &AtomicBool) -> Found {
        // It is never closed, so there is always a permit to wait for.
        let _permit = self.permits.acquire().await;
        set_off.store(true, Ordering::Relaxed);
        let path = self.settings.vault.path_root.entry_of(user_id);
        let found = self.kv.read_login_secret(&path).await;
        *lock(&self.outage) = found.as_ref().err().filter(|error| error.allows_stale()).cloned();
        let entry = found?;
        match (&self.cache, &entry) {
            (None, _) => {}
            (Some(cache), Entry::Secret(secret)) => cache.remember(user_id, secret),
            (Some(cache), Entry::Missing | Entry::Unusable(_)) => cache.forget(user_id),
        }
        Ok(Arc::new(entry))
    }

    fn timed_out(&self) -> VaultError {
        VaultError::TimedOut {
            address: self.kv.client().addresses(),
            limit: self.settings.login_timeout,
        }
    }
}

/// Takes a flight off the list when it ends, also when nobody waits for it any more.
struct Unlist {
    lookup: Arc<Lookup>,
    user_id: UserId,
    number: u64,
}

impl Drop for Unlist {
    fn drop(&mut self) {
        let mut flights = lock(&self.lookup.flights);
        if flights.get(&self.user_id).is_some_and(|listed| listed.number == self.number) {
            flights.remove(&self.user_id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Exponential waits, each anywhere between nothing and its bound: clients that fail together do
/// not come back together. After
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
fn full_jitter() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(SHORTEST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .without_max_times()
        .build()
        .map(|bound| bound.mul_f64(fastrand::f64()))
}
