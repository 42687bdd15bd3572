//! One user's secret, asked for until Vault answers or the login's time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout_at};

use super::cache::SecretCache;
use super::config::Config;
use super::decision::LoginAttempt;
use super::health::Health;
use super::metrics_snapshot::MetricsSnapshot;
use super::outage::Outage;
use super::outcome::{Code, LookupError, Outcome, Severity};
use super::patience::Patience;
use super::rotation::Rotation;
use super::single_flight::{Found, ReadKey, SharedRead, SingleFlight};
use crate::notice::Notices;
use crate::user_id::UserId;
use crate::vault::{Client, Entry, KvReader, Secret, VaultError};

/// How often secrets that have expired are looked for, to wipe them.
const EVICTED_EVERY: Duration = Duration::from_secs(5);

/// How long logins have the cache to themselves between two parts of a long eviction.
const EVICTED_IN_TURN: Duration = Duration::from_millis(1);

/// Decides logins by what Vault holds, riding out what may pass within a login's time.
pub struct Lookup {
    kv: KvReader,
    config: Config,
    server_name: String,
    cache: Option<SecretCache>,
    rotation: Option<Rotation>,
    permits: Semaphore,
    most_in_flight: usize,
    single_flight: Arc<SingleFlight>,
    outage: Outage,
}

impl Lookup {
    /// Prepares the connections; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: Config, server_name: String, notices: Notices) -> Result<Self, VaultError> {
        let client = Client::new(&config.vault, notices.clone())?;
        let most_in_flight = usize::try_from(config.max_concurrent_lookups).unwrap_or(1);
        let most_in_flight = most_in_flight.min(Semaphore::MAX_PERMITS);
        let rotation = Rotation::new(config.rotation_grace, notices.clone());
        if let Some(rotation) = &rotation {
            rotation.warn_if_useless(config.vault.kv_version, None);
        }
        Ok(Self {
            kv: KvReader::new(client, config.vault.kv_version),
            cache: SecretCache::new(config.cache),
            rotation,
            permits: Semaphore::new(most_in_flight),
            most_in_flight,
            single_flight: Arc::default(),
            outage: Outage::new(notices),
            config,
            server_name,
        })
    }

    /// The path of the user's secret as an administrator would write it, mount first.
    pub fn path_of(&self, user_id: &UserId) -> String {
        let vault = &self.config.vault;
        format!("{}/{}", vault.mount, vault.path_root.entry_of(user_id))
    }

    /// Finds out whether logins could be decided now.
    pub async fn check(&self) -> Health {
        let engine_was_known = self.kv.is_known();
        // No user has this id, and every policy that is for users' entries covers it.
        let path = self.config.vault.path_root.entry_of_nobody(&self.server_name);
        let reading = tokio::time::timeout(self.config.login_timeout, self.kv.check(&path));
        let read = reading.await.unwrap_or_else(|_| Err(self.timed_out()));
        Health::of(read, engine_was_known)
    }

    /// What has been counted so far.
    pub fn counts(&self) -> MetricsSnapshot {
        let client = self.kv.client();
        let uses = self.cache.as_ref().map(|cache| &cache.uses);
        let in_flight = self.most_in_flight.saturating_sub(self.permits.available_permits());
        MetricsSnapshot {
            vault_requests: client.metrics().requests(),
            vault_retries: client.metrics().retries.get(),
            cache_hits: uses.map_or(0, |uses| uses.hits.get()),
            cache_misses: uses.map_or(0, |uses| uses.misses.get()),
            cache_stale: uses.map_or(0, |uses| uses.stale.get()),
            vault_token_end: client.token_end(),
            lookups_in_flight: in_flight,
        }
    }

    /// Keeps the token alive; never returns. Run it beside the logins.
    pub async fn keep_token_alive(self: Arc<Self>) {
        self.kv.client().watch().await;
    }

    /// Wipes secrets that have expired; never returns. Run it beside the logins.
    pub async fn keep_cache_clean(self: Arc<Self>) {
        loop {
            sleep(EVICTED_EVERY).await;
            while self.cache.as_ref().is_some_and(SecretCache::evict_expired) {
                sleep(EVICTED_IN_TURN).await;
            }
        }
    }

    /// Accepts a login by a secret in memory, without asking Vault; `None` if there is none, or
    /// not one that fits.
    pub fn accept_from_memory(&self, attempt: &LoginAttempt) -> Option<Outcome> {
        let cache = self.cache.as_ref().filter(|_| attempt.is_registered)?;
        cache
            .fresh(&attempt.user_id, |secret| attempt.fits(secret))
            .then(|| Outcome::new(Code::Ok, "the token hash is right (from memory)"))
    }

    /// Decides a login within `login_timeout`.
    pub async fn decide(self: &Arc<Self>, attempt: &LoginAttempt) -> Outcome {
        let mut patience = Patience::new(self.config.login_timeout);
        let newest = ReadKey { user_id: attempt.user_id.clone(), number: None };
        let (outcome, entry) =
            self.ask(attempt, &newest, &mut patience, |found| attempt.judge(found)).await;
        match (&self.rotation, entry) {
            (Some(rotation), Some(entry)) if outcome.code.severity() == Severity::Refused => {
                self.decide_by_previous(attempt, rotation, &entry, &mut patience, outcome).await
            }
            _ => outcome,
        }
    }

    /// Asks for the version before the newest one, if a hash of it is still accepted.
    ///
    /// If it is not, another read is made all the same, and what it finds does not matter: the
    /// time taken must not tell who has a secret, nor whose was replaced a short while ago.
    async fn decide_by_previous(
        self: &Arc<Self>,
        attempt: &LoginAttempt,
        rotation: &Rotation,
        newest: &Entry,
        patience: &mut Patience,
        refusal: Outcome,
    ) -> Outcome {
        let previous = rotation.previous(newest);
        let number = Some(previous.map_or(1, |previous| previous.number));
        let key = ReadKey { user_id: attempt.user_id.clone(), number };
        let (outcome, _) = self
            .ask(attempt, &key, patience, |found| match previous {
                Some(previous) => attempt.judge_by_previous(found, previous, &refusal),
                None => attempt.equalize_timing(&refusal),
            })
            .await;
        outcome
    }

    /// Asks for one version of an entry until there is an answer to judge by.
    ///
    /// Returns the entry with the outcome if it was decided by one.
    async fn ask(
        self: &Arc<Self>,
        attempt: &LoginAttempt,
        key: &ReadKey,
        patience: &mut Patience,
        judge: impl Fn(Result<&Entry, LookupError>) -> Outcome,
    ) -> (Outcome, Option<Arc<Entry>>) {
        // What a read finds that was under way already may be older than this login: it may let
        // somebody in, but only one that began later turns them away.
        let mut is_late_enough = false;
        patience.last_error = None;
        loop {
            let (read, is_ours) = self.fly(key);
            if is_ours && patience.last_error.is_some() {
                self.kv.client().metrics().retries.count();
            }
            let Ok(found) = timeout_at(patience.deadline, read.found.clone()).await else {
                return (self.out_of_time(attempt, patience, &read, judge), None);
            };
            let error = match found {
                Err(error) if error.is_transient() => error,
                Err(error) => return (judge(Err(error.into())), None),
                Ok(entry) => {
                    let outcome = judge(Ok(&entry));
                    let is_accepted = outcome.code.severity() == Severity::Accepted;
                    if is_ours || is_late_enough || is_accepted {
                        return (outcome, Some(entry));
                    }
                    is_late_enough = true;
                    continue;
                }
            };
            is_late_enough = true;
            if let Some(outcome) = self.accept_as_stale(attempt, &error) {
                return (outcome, None);
            }
            if let Err(error) = patience.wait_out(error).await {
                return (judge(Err(error.into())), None);
            }
        }
    }

    /// The outcome of a login that has waited as long as it may.
    fn out_of_time(
        &self,
        attempt: &LoginAttempt,
        patience: &mut Patience,
        read: &SharedRead,
        judge: impl Fn(Result<&Entry, LookupError>) -> Outcome,
    ) -> Outcome {
        let error = match patience.last_error.take() {
            Some(error) => error,
            None if read.is_under_way() => self.timed_out(),
            // The others before this one wait because Vault is away: then it is, for this one too.
            None => match self.outage.current() {
                Some(error) if self.is_known_stale(attempt) => error,
                _ => return judge(Err(LookupError::Overloaded)),
            },
        };
        self.accept_as_stale(attempt, &error).unwrap_or_else(|| judge(Err(error.into())))
    }

    /// Accepts a login by a secret in memory because Vault does not answer; `None` if that is not
    /// configured, if there is none, or not one that fits.
    fn accept_as_stale(&self, attempt: &LoginAttempt, error: &VaultError) -> Option<Outcome> {
        if !error.allows_stale() || !self.is_known_stale(attempt) {
            return None;
        }
        self.outage.say_that_memory_serves(error);
        if let Some(cache) = &self.cache {
            cache.uses.stale.count();
        }
        Some(Outcome::new(Code::Ok, "the token hash is right (from memory; Vault does not answer)"))
    }

    /// Whether a secret in memory fits that may be gone by while Vault does not answer.
    fn is_known_stale(&self, attempt: &LoginAttempt) -> bool {
        self.cache.as_ref().is_some_and(|cache| {
            attempt.is_registered && cache.stale(&attempt.user_id, |secret| attempt.fits(secret))
        })
    }

    /// Joins the read that is under way, or starts one. Says whether it started it.
    fn fly(self: &Arc<Self>, key: &ReadKey) -> (SharedRead, bool) {
        self.single_flight.join_or_start(key, |set_off| {
            let lookup = Arc::clone(self);
            let key = key.clone();
            async move { lookup.read(&key, &set_off).await }
        })
    }

    /// Reads once, and keeps what was read as far as that is allowed: of the newest version only.
    async fn read(&self, key: &ReadKey, set_off: &AtomicBool) -> Found {
        // It is never closed, so there is always a permit to wait for.
        let _permit = self.permits.acquire().await;
        set_off.store(true, Ordering::Relaxed);
        let path = self.config.vault.path_root.entry_of(&key.user_id);
        let found = match key.number {
            Some(number) => self.kv.read_version(&path, number).await,
            None => self.kv.read_login_secret(&path).await,
        };
        self.outage.note(found.as_ref().err());
        let entry = found?;
        if key.number.is_none() {
            self.remember(&key.user_id, &entry);
            if let Some(rotation) = &self.rotation {
                rotation.warn_if_useless(self.kv.known_version(), Some(&entry));
            }
        }
        Ok(Arc::new(entry))
    }

    fn remember(&self, user_id: &UserId, newest: &Entry) {
        match (&self.cache, newest) {
            (None, _) => {}
            (Some(cache), Entry::Secret(Secret { login_secret, .. })) => {
                cache.remember(user_id, login_secret);
            }
            (Some(cache), Entry::Missing | Entry::Unusable(_)) => cache.forget(user_id),
        }
    }

    fn timed_out(&self) -> VaultError {
        VaultError::timed_out(self.kv.client().addresses(), self.config.login_timeout)
    }
}
