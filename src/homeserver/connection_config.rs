//! How requests get to the homeserver.

use super::url::HomeserverUrl;
use crate::http::{Proxies, Tls};

/// How requests get to the homeserver.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Where the homeserver listens.
    pub url: HomeserverUrl,
    /// Whom to trust.
    pub tls: Tls,
    /// The proxies between us and the homeserver.
    pub proxies: Proxies,
}

impl From<HomeserverUrl> for ConnectionConfig {
    /// Trusts whom the system trusts, and asks no proxy.
    fn from(url: HomeserverUrl) -> Self {
        Self { url, tls: Tls::default(), proxies: Proxies::default() }
    }
}
