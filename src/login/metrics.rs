//! What has been counted of the logins' way to Vault, for monitoring.

use std::sync::Arc;

use super::cache::CacheUses;
use super::entry_reader::EntryReader;
use crate::vault::{RequestMetrics, TokenExpiry};

/// The counters of a service, where they are counted. They grow while they are read.
pub struct Metrics(Arc<EntryReader>);

impl Metrics {
    pub(super) fn new(reader: Arc<EntryReader>) -> Self {
        Self(reader)
    }

    /// How often Vault was asked for what, and how long it took.
    #[must_use]
    pub fn requests(&self) -> &RequestMetrics {
        self.0.kv().client().metrics()
    }

    /// When the module's token ends, as far as that is known.
    #[must_use]
    pub fn token_end(&self) -> Option<TokenExpiry> {
        self.0.kv().client().token_end()
    }

    /// What came of asking the cache; `None` if nothing is kept.
    #[must_use]
    pub fn cache_uses(&self) -> Option<&CacheUses> {
        self.0.cache_uses()
    }

    /// How many reads of entries are under way now.
    #[must_use]
    pub fn reads_in_flight(&self) -> usize {
        self.0.reads_in_flight()
    }
}
