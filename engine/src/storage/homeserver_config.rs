//! What is configured of a homeserver.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::store::{Store, Stored};
use super::ttls::{Ttls, milliseconds};
use crate::logical::LogicalError;

/// How a homeserver is reached. What ends sessions keeps a copy, so that they end when nothing is
/// configured any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HomeserverAddress {
    /// The name of the homeserver.
    pub server: String,
    /// Where it answers clients.
    pub cs_url: String,
    /// The certificates to trust, in PEM, in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<String>,
}

/// What is configured of a homeserver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeserverConfig {
    /// How it is reached.
    #[serde(flatten)]
    pub address: HomeserverAddress,
    /// The time that a request has, in milliseconds.
    request_timeout_ms: u64,
    /// How long leases last.
    #[serde(flatten)]
    pub ttls: Ttls,
}

impl HomeserverConfig {
    /// The time that a request has if nothing else is said.
    pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

    /// A homeserver of which only the address is known.
    #[must_use]
    pub fn new(address: HomeserverAddress) -> Self {
        Self {
            address,
            request_timeout_ms: milliseconds(Self::DEFAULT_REQUEST_TIMEOUT),
            ttls: Ttls::default(),
        }
    }

    /// The time that a request has.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Changes the time that a request has.
    pub fn set_request_timeout(&mut self, timeout: Duration) {
        self.request_timeout_ms = milliseconds(timeout);
    }
}

impl Stored for HomeserverConfig {
    const PREFIX: &'static str = "config/homeserver/";
    const VERSION: u32 = 1;
    const IS_SECRET: bool = false;
}

impl Store {
    /// What is configured of a homeserver, by its name.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn homeserver(&self, name: &str) -> Result<Option<HomeserverConfig>, LogicalError> {
        self.read(name).await
    }

    /// Configures a homeserver.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn put_homeserver(&self, config: &HomeserverConfig) -> Result<(), LogicalError> {
        self.write(&config.address.server, config).await
    }

    /// Forgets a homeserver.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete_homeserver(&self, name: &str) -> Result<(), LogicalError> {
        self.delete::<HomeserverConfig>(name).await
    }

    /// The names of all homeservers, sorted.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn homeservers(&self) -> Result<Vec<String>, LogicalError> {
        self.names::<HomeserverConfig>().await
    }
}
