//! One read of a user's entry: who waits for it, what is kept of it, and whether Vault answers.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::cache::{CacheUses, SecretCache};
use super::config::Config;
use super::decision::LoginAttempt;
use super::health::Health;
use super::outage::Outage;
use super::single_flight::{AskedAt, Found, ReadKey, SharedRead, SingleFlight};
use crate::notice::Notices;
use crate::user_id::UserId;
use crate::vault::{Client, Entry, KvReader, Secret, VaultError};

/// How often the cache is searched for expired secrets, to wipe them.
const EVICTION_INTERVAL: Duration = Duration::from_secs(5);

/// How long logins have the cache to themselves between two parts of a long eviction.
const EVICTION_PAUSE: Duration = Duration::from_millis(1);

/// How many reads are under way at nodes that are asked because the one in use takes long.
const MAX_SECOND_READS: usize = 16;

/// Reads users' entries: several logins share a read, and there is a bound on how many reads are
/// under way. Keeps secrets in memory as far as the configuration allows it.
pub struct EntryReader {
    kv: KvReader,
    config: Config,
    server_name: String,
    cache: Option<SecretCache>,
    permits: Semaphore,
    max_in_flight: usize,
    single_flight: Arc<SingleFlight>,
    second_permits: Semaphore,
    second_reads: Arc<SingleFlight>,
    outage: Outage,
}

impl EntryReader {
    /// Reads the entries of the users of `server_name` through `client`.
    pub fn new(client: Client, config: Config, server_name: String, notices: Notices) -> Self {
        let max_in_flight = usize::try_from(config.max_concurrent_lookups).unwrap_or(1);
        let max_in_flight = max_in_flight.min(Semaphore::MAX_PERMITS);
        Self {
            kv: KvReader::new(client, config.vault.kv_version),
            cache: SecretCache::new(config.cache),
            permits: Semaphore::new(max_in_flight),
            max_in_flight,
            single_flight: Arc::default(),
            second_permits: Semaphore::new(MAX_SECOND_READS),
            second_reads: Arc::default(),
            outage: Outage::new(notices),
            config,
            server_name,
        }
    }

    /// The way to the entries.
    pub fn kv(&self) -> &KvReader {
        &self.kv
    }

    /// What came of asking the cache; `None` if nothing is kept.
    pub fn cache_uses(&self) -> Option<&CacheUses> {
        self.cache.as_ref().map(|cache| &cache.uses)
    }

    /// How many reads are under way.
    pub fn reads_in_flight(&self) -> usize {
        self.max_in_flight.saturating_sub(self.permits.available_permits())
    }

    /// Why Vault did not answer when it was asked last; `None` if it did.
    pub fn outage(&self) -> Option<VaultError> {
        self.outage.current()
    }

    /// The path of the user's entry as an administrator would write it, mount first.
    pub fn path_of(&self, user_id: &UserId) -> String {
        let vault = &self.config.vault;
        format!("{}/{}", vault.mount, vault.path_root.entry_of(user_id))
    }

    /// Joins the read that is under way, or starts one.
    pub fn read(self: &Arc<Self>, key: &ReadKey) -> SharedRead {
        self.single_flight.join_or_start(key, |asked_at| {
            let reader = Arc::clone(self);
            let key = key.clone();
            async move { reader.ask(&key, &asked_at).await }
        })
    }

    /// Whether a node that takes long is not the only one.
    pub fn has_other_nodes(&self) -> bool {
        self.kv.client().has_other_nodes()
    }

    /// Reads the newest version from another node than the one in use, which takes long. `None` if
    /// no other one says what the entry holds.
    ///
    /// That node may be a standby, and behind: what it says is kept nowhere.
    pub async fn read_from_another_node(self: &Arc<Self>, user_id: &UserId) -> Option<Arc<Entry>> {
        let key = ReadKey { user_id: user_id.clone(), number: None };
        let read = self.second_reads.join_or_start(&key, |_| {
            let reader = Arc::clone(self);
            let path = self.config.vault.path_root.entry_of(user_id);
            async move {
                let _permit = reader.second_permits.acquire().await;
                let entry = reader.kv.read_from_another_node(&path).await;
                entry.map(Arc::new).ok_or_else(|| reader.timed_out())
            }
        });
        read.found.await.ok()
    }

    /// Whether the hash is that of a secret in memory that is young enough not to ask Vault.
    pub fn fits_fresh(&self, attempt: &LoginAttempt) -> bool {
        let fits = |secret: &SecretString| attempt.fits(secret);
        self.cache.as_ref().is_some_and(|cache| cache.fresh(&attempt.user_id, fits))
    }

    /// Counts a login that such a secret has let in, or for which there was none.
    pub fn count_memory_use(&self, is_hit: bool) {
        if let Some(cache) = &self.cache {
            cache.count(is_hit);
        }
    }

    /// Whether the hash is that of a secret in memory that is young enough to serve while Vault
    /// does not answer.
    pub fn fits_stale(&self, attempt: &LoginAttempt) -> bool {
        self.cache.as_ref().is_some_and(|cache| {
            attempt.is_registered && cache.stale(&attempt.user_id, |secret| attempt.fits(secret))
        })
    }

    /// Counts a login that memory served because of this error, and says so in the log.
    pub fn note_stale_use(&self, error: &VaultError) {
        self.outage.say_that_memory_serves(error);
        if let Some(uses) = self.cache_uses() {
            uses.stale.count();
        }
    }

    /// Finds out whether entries can be read now.
    pub async fn check(&self) -> Health {
        let engine_was_known = self.kv.is_known();
        let path = self.path_of_nobody();
        let reading = timeout(self.config.login_timeout, self.kv.check(&path));
        let read = reading.await.unwrap_or_else(|_| Err(self.timed_out()));
        Health::of(read, engine_was_known)
    }

    /// Where the entries are, mount first.
    pub fn location(&self) -> String {
        self.config.vault.location()
    }

    /// The path below the mount of an entry that no user can have, and that every policy for the
    /// entries of all users covers.
    pub fn path_of_nobody(&self) -> String {
        self.config.vault.path_root.entry_of_nobody(&self.server_name)
    }

    /// The error of a login that Vault did not answer in time.
    pub fn timed_out(&self) -> VaultError {
        VaultError::timed_out(self.kv.client().addresses(), self.config.login_timeout)
    }

    /// Keeps the token alive; never returns. Run it beside the logins.
    pub async fn keep_token_alive(self: Arc<Self>) {
        self.kv.client().watch().await;
    }

    /// Wipes expired secrets; never returns. Run it beside the logins.
    pub async fn keep_cache_clean(self: Arc<Self>) {
        loop {
            sleep(EVICTION_INTERVAL).await;
            while self.cache.as_ref().is_some_and(SecretCache::evict_expired) {
                sleep(EVICTION_PAUSE).await;
            }
        }
    }

    /// Asks Vault once, and keeps what it says of the newest version as far as that is allowed.
    async fn ask(&self, key: &ReadKey, asked_at: &AskedAt) -> Found {
        // The semaphore is never closed, so there is always a permit to wait for.
        let _permit = self.permits.acquire().await;
        asked_at.set_now();
        let path = self.config.vault.path_root.entry_of(&key.user_id);
        let found = match key.number {
            Some(number) => self.kv.read_version(&path, number).await,
            None => self.kv.read_login_secret(&path).await,
        };
        self.outage.note(found.as_ref().err());
        let entry = found?;
        if key.number.is_none() {
            self.remember(&key.user_id, &entry);
        }
        Ok(Arc::new(entry))
    }

    fn remember(&self, user_id: &UserId, newest: &Entry) {
        match (&self.cache, newest) {
            (None, _) => {}
            (Some(cache), Entry::Secret(Secret { login_secret, deleted_in, .. })) => {
                cache.remember(user_id, login_secret, *deleted_in);
            }
            (Some(cache), Entry::Missing | Entry::Unusable(_)) => cache.forget(user_id),
        }
    }
}
