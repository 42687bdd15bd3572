//! Secrets kept in memory for a while, as far as the configuration allows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use secrecy::SecretString;

use crate::metrics::Counter;
use crate::settings::CacheSettings;
use crate::user_id::UserId;

/// Secrets that Vault held when it was asked last. They are wiped when they leave.
///
/// A secret from here may let somebody in; that it does not fit turns nobody away.
pub struct SecretCache {
    secrets: Cache<UserId, Arc<Remembered>>,
    settings: CacheSettings,
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

struct Remembered {
    secret: SecretString,
    read: Instant,
}

impl SecretCache {
    /// An empty cache; `None` if nothing is to be kept.
    #[must_use]
    pub fn new(settings: CacheSettings) -> Option<Self> {
        if settings.is_off() {
            return None;
        }
        let secrets = Cache::builder()
            .max_capacity(settings.max_entries.into())
            // Who logged in last is who will again; moka's own choice would keep newcomers out.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(settings.ttl.max(settings.stale_if_error))
            .build();
        Some(Self { secrets, settings, uses: CacheUses::default() })
    }

    /// Keeps a secret that Vault holds now.
    pub fn remember(&self, user_id: &UserId, secret: &SecretString) {
        let remembered = Remembered { secret: secret.clone(), read: Instant::now() };
        self.secrets.insert(user_id.clone(), Arc::new(remembered));
    }

    /// Wipes the secret of a user who has none in Vault any more.
    pub fn forget(&self, user_id: &UserId) {
        self.secrets.invalidate(user_id);
    }

    /// Whether `fits` holds for a secret that is young enough not to ask Vault. Counts the answer.
    pub fn fresh(&self, user_id: &UserId, fits: impl FnOnce(&SecretString) -> bool) -> bool {
        let is_hit = self.check(user_id, self.settings.ttl, fits);
        if is_hit {
            self.uses.hits.count();
        } else if !self.settings.ttl.is_zero() {
            self.uses.misses.count();
        }
        is_hit
    }

    /// Whether `fits` holds for a secret that is young enough to serve while Vault is away.
    pub fn stale(&self, user_id: &UserId, fits: impl FnOnce(&SecretString) -> bool) -> bool {
        self.check(user_id, self.settings.stale_if_error, fits)
    }

    /// Wipes what has expired. Without it that happens as other entries come and go.
    pub fn evict_expired(&self) {
        self.secrets.run_pending_tasks();
    }

    fn check(
        &self,
        user_id: &UserId,
        good_for: Duration,
        fits: impl FnOnce(&SecretString) -> bool,
    ) -> bool {
        !good_for.is_zero()
            && self.secrets.get(user_id).is_some_and(|remembered| {
                remembered.read.elapsed() < good_for && fits(&remembered.secret)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(ttl: u64, stale_if_error: u64, max_entries: u32) -> Option<SecretCache> {
        SecretCache::new(CacheSettings {
            ttl: Duration::from_secs(ttl),
            stale_if_error: Duration::from_secs(stale_if_error),
            max_entries,
        })
    }

    fn user(localpart: &str) -> UserId {
        UserId::parse(&format!("@{localpart}:example.org"), "example.org").unwrap()
    }

    #[test]
    fn nothing_is_kept_unless_configured() {
        assert!(cache(0, 0, 10).is_none());
        let only_stale = cache(0, 60, 10).unwrap();
        only_stale.remember(&user("a"), &"s".into());
        assert!(!only_stale.fresh(&user("a"), |_| true));
        assert!(only_stale.stale(&user("a"), |_| true));
        let only_fresh = cache(60, 0, 10).unwrap();
        only_fresh.remember(&user("a"), &"s".into());
        assert!(only_fresh.fresh(&user("a"), |_| true));
        assert!(!only_fresh.stale(&user("a"), |_| true));
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let cache = cache(60, 60, 10).unwrap();
        cache.remember(&user("a"), &"s".into());
        cache.forget(&user("a"));
        assert!(!cache.fresh(&user("a"), |_| true));
        assert!(!cache.stale(&user("a"), |_| true));
    }

    #[test]
    fn the_bound_holds() {
        let cache = cache(60, 0, 10).unwrap();
        for number in 0..1000 {
            cache.remember(&user(&number.to_string()), &"s".into());
        }
        cache.evict_expired();
        assert!(cache.secrets.entry_count() <= 10);
    }
}
