//! What has been counted of the logins' way to Vault and to Matrix Authentication Service, for
//! monitoring.

use std::sync::Arc;

use super::cache::CacheUses;
use super::entry_reader::EntryReader;
use super::mas::MasLogins;
use crate::homeserver::mas;
use crate::vault::{RequestMetrics, TokenExpiry};

/// The counters of a service, where they are counted. They grow while they are read.
pub struct Metrics {
    reader: Arc<EntryReader>,
    mas: Option<Arc<MasLogins>>,
}

impl Metrics {
    pub(super) fn new(reader: Arc<EntryReader>, mas: Option<Arc<MasLogins>>) -> Self {
        Self { reader, mas }
    }

    /// How often Matrix Authentication Service was asked for what, and how long it took; `None`
    /// without it.
    #[must_use]
    pub fn mas_requests(&self) -> Option<&mas::RequestMetrics> {
        self.mas.as_ref().map(|mas| mas.client.metrics())
    }

    /// How often Vault was asked for what, and how long it took.
    #[must_use]
    pub fn requests(&self) -> &RequestMetrics {
        self.reader.kv().client().metrics()
    }

    /// When the module's token ends, as far as that is known.
    #[must_use]
    pub fn token_end(&self) -> Option<TokenExpiry> {
        self.reader.kv().client().token_end()
    }

    /// What came of asking the cache; `None` if nothing is kept.
    #[must_use]
    pub fn cache_uses(&self) -> Option<&CacheUses> {
        self.reader.cache_uses()
    }

    /// How many reads of entries are under way now.
    #[must_use]
    pub fn reads_in_flight(&self) -> usize {
        self.reader.reads_in_flight()
    }
}
