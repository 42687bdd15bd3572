//! Secrets kept in memory for a while, as far as the configuration allows it.

use std::collections::BTreeSet;
use std::hash::RandomState;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use hashlink::{LinkedHashMap, LinkedHashSet};
use secrecy::SecretString;
use tokio::time::Instant;

use super::config::CacheConfig;
use crate::metrics::Counter;
use crate::sync::Mutex;
use crate::user_id::UserId;

/// How many expired secrets are wiped before logins, which wait meanwhile, have their turn.
const WIPED_AT_ONCE: usize = 1000;

/// Secrets that Vault held when it was asked last. They are wiped when they leave.
///
/// The cache may accept a login. It never refuses one.
pub struct SecretCache {
    kept: Mutex<Kept>,
    config: CacheConfig,
    /// What came of asking it.
    pub uses: CacheUses,
}

/// What came of asking the cache.
#[derive(Default)]
pub struct CacheUses {
    /// Logins that were accepted without asking Vault.
    pub hits: Counter,
    /// Logins that might have been, and were not.
    pub misses: Counter,
    /// Logins that were accepted because Vault did not answer.
    pub stale: Counter,
}

/// The secrets in two orders. Every user is in both; the id itself is there once. Those whose
/// secret Vault deletes by itself are in a third one.
///
/// Users may choose their ids, so they are hashed in a way that nobody can foresee.
#[derive(Default)]
struct Kept {
    /// The user who logged in longest ago comes first.
    recent: LinkedHashMap<Arc<str>, Remembered, RandomState>,
    /// The user whose secret was read longest ago comes first.
    ages: LinkedHashSet<Arc<str>, RandomState>,
    /// The user whose secret Vault deletes first comes first.
    deletions: BTreeSet<(Instant, Arc<str>)>,
}

struct Remembered {
    secret: SecretString,
    read: Instant,
    /// When Vault deletes it; `None` if it does not.
    deleted: Option<Instant>,
}

impl SecretCache {
    /// An empty cache; `None` if nothing is to be kept.
    #[must_use]
    pub fn new(config: CacheConfig) -> Option<Self> {
        if config.is_off() {
            return None;
        }
        Some(Self { kept: Mutex::default(), config, uses: CacheUses::default() })
    }

    /// Keeps a secret that Vault holds now, no longer than until Vault deletes it.
    pub fn remember(&self, user_id: &UserId, secret: &SecretString, deleted_in: Option<Duration>) {
        let read = Instant::now();
        // A time beyond all clocks is none.
        let deleted = deleted_in.and_then(|deleted_in| read.checked_add(deleted_in));
        let remembered = Remembered { secret: secret.clone(), read, deleted };
        let most = usize::try_from(self.config.max_entries).unwrap_or(usize::MAX);
        self.kept().insert(user_id, remembered, most);
    }

    /// Wipes the secret of a user who has none in Vault any more.
    pub fn forget(&self, user_id: &UserId) {
        self.kept().remove(user_id.as_str());
    }

    /// Whether `fits` holds for a secret that is young enough not to ask Vault.
    pub fn fresh(&self, user_id: &UserId, fits: impl FnOnce(&SecretString) -> bool) -> bool {
        self.check(user_id, self.config.ttl, fits)
    }

    /// Counts a login that such a secret has let in, or for which there was none.
    pub fn count(&self, is_hit: bool) {
        if is_hit {
            self.uses.hits.count();
        } else if !self.config.ttl.is_zero() {
            self.uses.misses.count();
        }
    }

    /// Whether `fits` holds for a secret that is young enough to serve while Vault is away.
    pub fn stale(&self, user_id: &UserId, fits: impl FnOnce(&SecretString) -> bool) -> bool {
        self.check(user_id, self.config.stale_if_error, fits)
    }

    /// Wipes some of what has expired, which nothing else does unless its place is needed. Says
    /// whether there may be more.
    pub fn evict_expired(&self) -> bool {
        let longest = self.config.ttl.max(self.config.stale_if_error);
        let now = Instant::now();
        let deleted = self.kept().wipe_deleted(now, WIPED_AT_ONCE);
        let expired =
            now.checked_sub(longest).map_or(0, |before| self.kept().wipe(before, WIPED_AT_ONCE));
        deleted == WIPED_AT_ONCE || expired == WIPED_AT_ONCE
    }

    fn check(
        &self,
        user_id: &UserId,
        good_for: Duration,
        fits: impl FnOnce(&SecretString) -> bool,
    ) -> bool {
        !good_for.is_zero()
            && self.kept().recent.to_back(user_id.as_str()).is_some_and(|remembered| {
                remembered.read.elapsed() < good_for
                    && remembered.deleted.is_none_or(|deleted| Instant::now() < deleted)
                    && fits(&remembered.secret)
            })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock()
    }
}

impl Kept {
    /// Puts a secret in, and out whoever was asked for longest ago if there are more than `most`.
    fn insert(&mut self, user_id: &UserId, remembered: Remembered, most: usize) {
        self.remove(user_id.as_str());
        let user_id: Arc<str> = user_id.as_str().into();
        if let Some(deleted) = remembered.deleted {
            self.deletions.insert((deleted, Arc::clone(&user_id)));
        }
        self.ages.insert(Arc::clone(&user_id));
        self.recent.insert(user_id, remembered);
        if self.recent.len() > most
            && let Some((user_id, remembered)) = self.recent.pop_front()
        {
            self.unlist(&user_id, &remembered);
        }
    }

    fn remove(&mut self, user_id: &str) {
        if let Some((user_id, remembered)) = self.recent.remove_entry(user_id) {
            self.unlist(&user_id, &remembered);
        }
    }

    /// Takes what is no longer in the first order out of the others.
    fn unlist(&mut self, user_id: &Arc<str>, remembered: &Remembered) {
        self.ages.remove(user_id);
        if let Some(deleted) = remembered.deleted {
            self.deletions.remove(&(deleted, Arc::clone(user_id)));
        }
    }

    /// Wipes secrets that Vault has deleted by `now`, but no more than `most`. Returns how many.
    fn wipe_deleted(&mut self, now: Instant, most: usize) -> usize {
        let deleted: Vec<_> = self
            .deletions
            .iter()
            .take(most)
            .take_while(|(deleted, _)| *deleted <= now)
            .map(|(_, user_id)| Arc::clone(user_id))
            .collect();
        for user_id in &deleted {
            self.remove(user_id);
        }
        deleted.len()
    }

    /// Wipes secrets read no later than `before`, but no more than `most`. Returns how many.
    fn wipe(&mut self, before: Instant, most: usize) -> usize {
        let expired: Vec<_> = self
            .ages
            .iter()
            .take(most)
            .take_while(|user_id| {
                self.recent.get(*user_id).is_none_or(|remembered| remembered.read <= before)
            })
            .cloned()
            .collect();
        for user_id in &expired {
            self.remove(user_id);
        }
        expired.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(ttl: u64, stale_if_error: u64, max_entries: u32) -> Option<SecretCache> {
        SecretCache::new(CacheConfig {
            ttl: Duration::from_secs(ttl),
            stale_if_error: Duration::from_secs(stale_if_error),
            max_entries,
        })
    }

    fn user(localpart: &str) -> UserId {
        UserId::parse(&format!("@{localpart}:example.org"), "example.org").unwrap()
    }

    /// Whose secrets are kept, from the one read longest ago on.
    fn kept(cache: &SecretCache) -> Vec<String> {
        let kept = cache.kept();
        assert_eq!(kept.recent.len(), kept.ages.len());
        kept.ages.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_kept_unless_configured() {
        assert!(cache(0, 0, 10).is_none());
        let only_stale = cache(0, 60, 10).unwrap();
        only_stale.remember(&user("a"), &"s".into(), None);
        assert!(!only_stale.fresh(&user("a"), |_| true));
        assert!(only_stale.stale(&user("a"), |_| true));
        let only_fresh = cache(60, 0, 10).unwrap();
        only_fresh.remember(&user("a"), &"s".into(), None);
        assert!(only_fresh.fresh(&user("a"), |_| true));
        assert!(!only_fresh.stale(&user("a"), |_| true));
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let cache = cache(60, 60, 10).unwrap();
        cache.remember(&user("a"), &"s".into(), None);
        cache.forget(&user("a"));
        assert!(!cache.fresh(&user("a"), |_| true));
        assert!(!cache.stale(&user("a"), |_| true));
    }

    #[test]
    fn the_bound_holds() {
        let cache = cache(60, 0, 10).unwrap();
        for number in 0..1000 {
            cache.remember(&user(&number.to_string()), &"s".into(), None);
        }
        assert_eq!(kept(&cache).len(), 10);
    }

    #[test]
    fn the_place_of_who_logged_in_longest_ago_is_given_away() {
        let cache = cache(60, 0, 3).unwrap();
        for localpart in ["a", "b", "c"] {
            cache.remember(&user(localpart), &"s".into(), None);
        }
        assert!(cache.fresh(&user("a"), |_| true));
        cache.remember(&user("b"), &"s".into(), None);
        cache.remember(&user("d"), &"s".into(), None);
        assert_eq!(kept(&cache), ["@a:example.org", "@b:example.org", "@d:example.org"]);
    }

    #[test]
    fn what_was_read_longest_ago_is_wiped_first() {
        let cache = cache(60, 0, 10).unwrap();
        for localpart in ["a", "b", "c"] {
            cache.remember(&user(localpart), &"s".into(), None);
        }
        let before = Instant::now();
        cache.remember(&user("a"), &"s".into(), None);
        assert!(cache.fresh(&user("b"), |_| true));
        assert_eq!(cache.kept().wipe(before, 1), 1);
        assert_eq!(kept(&cache), ["@c:example.org", "@a:example.org"]);
        assert_eq!(cache.kept().wipe(before, 10), 1);
        assert_eq!(kept(&cache), ["@a:example.org"]);
        assert_eq!(cache.kept().wipe(before, 10), 0);
    }

    #[test]
    fn all_that_has_expired_is_wiped() {
        let mut cache = cache(60, 60, 10_000).unwrap();
        for number in 0..2500 {
            cache.remember(&user(&number.to_string()), &"s".into(), None);
        }
        assert!(!cache.evict_expired());
        assert_eq!(kept(&cache).len(), 2500);
        cache.config.ttl = Duration::ZERO;
        cache.config.stale_if_error = Duration::ZERO;
        assert!(cache.evict_expired() && cache.evict_expired());
        assert_eq!(kept(&cache).len(), 500);
        assert!(!cache.evict_expired());
        assert_eq!(kept(&cache).len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_kept_no_longer_than_vault_keeps_it() {
        let cache = cache(60, 3600, 10).unwrap();
        let second = Duration::from_secs(1);
        cache.remember(&user("a"), &"s".into(), Some(10 * second));
        cache.remember(&user("b"), &"s".into(), Some(Duration::MAX));
        cache.remember(&user("c"), &"s".into(), Some(Duration::ZERO));
        cache.remember(&user("d"), &"s".into(), Some(10 * second));
        cache.remember(&user("d"), &"s".into(), None);
        assert!(!cache.fresh(&user("c"), |_| true) && !cache.stale(&user("c"), |_| true));
        tokio::time::advance(9 * second).await;
        assert!(cache.fresh(&user("a"), |_| true) && cache.stale(&user("a"), |_| true));
        tokio::time::advance(second).await;
        assert!(!cache.fresh(&user("a"), |_| true) && !cache.stale(&user("a"), |_| true));
        // It is wiped as soon, and not only when its time in the cache is over.
        assert!(!cache.evict_expired());
        assert_eq!(kept(&cache), ["@b:example.org", "@d:example.org"]);
        assert!(cache.fresh(&user("b"), |_| true) && cache.fresh(&user("d"), |_| true));
        cache.forget(&user("b"));
        assert!(cache.kept().deletions.is_empty());
    }
}
