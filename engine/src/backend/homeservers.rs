//! Connections to homeservers, and how many requests there may be at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use synapse_vault_auth_provider_core::homeserver::{
    ConnectionConfig, Homeserver, HomeserverError, HomeserverUrl, LoginEndpoint,
};
use synapse_vault_auth_provider_core::http::{Authorities, Proxies, Tls, TransportError};
use synapse_vault_auth_provider_core::notice::Notices;
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::logical::LogicalError;
use crate::storage::{HomeserverAddress, HomeserverConfig};

/// Requests to one homeserver at once.
const MOST_REQUESTS: usize = 32;

/// How long a homeserver that has not answered in time is taken for one that hangs.
const HANGING_TIME: Duration = Duration::from_secs(10);

/// How many clients are kept before those that nobody uses are dropped.
const MOST_IDLE: usize = 64;

/// The homeservers of a mount.
pub struct Homeservers {
    clients: Mutex<HashMap<(HomeserverAddress, Duration), Arc<HomeserverClient>>>,
    notices: Notices,
}

/// One homeserver.
pub struct HomeserverClient {
    homeserver: Homeserver,
    slots: Semaphore,
    last_timeout: Mutex<Option<Instant>>,
    endpoint: Mutex<Option<LoginEndpoint>>,
}

/// Leave to send a request.
pub struct Slot<'a> {
    /// Whom to send it to.
    pub homeserver: &'a Homeserver,
    _permit: SemaphorePermit<'a>,
}

impl Homeservers {
    /// No connections yet.
    #[must_use]
    pub fn new(notices: Notices) -> Self {
        Self { clients: Mutex::default(), notices }
    }

    /// The homeserver of this configuration.
    ///
    /// # Errors
    /// 400 when the configuration cannot be used.
    pub async fn client(
        &self,
        config: &HomeserverConfig,
    ) -> Result<Arc<HomeserverClient>, LogicalError> {
        let key = (config.address.clone(), config.request_timeout());
        if let Some(client) = self.clients.lock().get(&key) {
            return Ok(Arc::clone(client));
        }
        let (address, request_timeout) = key.clone();
        let notices = self.notices.clone();
        // Reading the system's certificates takes long.
        let made = tokio::task::spawn_blocking(move || {
            HomeserverClient::new(&address, request_timeout, notices)
        });
        let made = made.await.map_err(|_| LogicalError::status(503, "the plugin is ending"))??;
        let mut clients = self.clients.lock();
        if clients.len() > MOST_IDLE {
            clients.retain(|_, client| Arc::strong_count(client) > 1);
        }
        Ok(Arc::clone(clients.entry(key).or_insert_with(|| Arc::new(made))))
    }
}

impl HomeserverClient {
    fn new(
        address: &HomeserverAddress,
        request_timeout: Duration,
        notices: Notices,
    ) -> Result<Self, LogicalError> {
        let url = HomeserverUrl::parse(&address.cs_url)
            .map_err(|error| LogicalError::invalid(format!("cs_url {error}")))?;
        let authorities = address.ca_cert.clone().map_or(Authorities::System, Authorities::Pem);
        let tls = Tls { authorities, ..Tls::default() };
        // The environment is the host's own: no proxy of it is meant for us.
        let connection = ConnectionConfig { url, tls, proxies: Proxies::default() };
        let trust = "ca_cert of config/homeserver";
        let homeserver =
            Homeserver::with_trust_setting(connection, request_timeout, trust, notices)
                .map_err(|error| LogicalError::invalid(error.to_string()))?;
        Ok(Self {
            homeserver,
            slots: Semaphore::new(MOST_REQUESTS),
            last_timeout: Mutex::default(),
            endpoint: Mutex::default(),
        })
    }

    /// Waits for leave to send a request.
    pub async fn slot(&self) -> Slot<'_> {
        loop {
            // It is never closed.
            if let Ok(permit) = self.slots.acquire().await {
                return Slot { homeserver: &self.homeserver, _permit: permit };
            }
        }
    }

    /// Whether the homeserver has not answered in time, a short while ago.
    pub fn is_hanging(&self) -> bool {
        self.last_timeout.lock().is_some_and(|last| last.elapsed() < HANGING_TIME)
    }

    /// Remembers whether the homeserver answered in time.
    pub fn note<T>(&self, result: &Result<T, HomeserverError>) {
        match result {
            Err(HomeserverError::NoAnswer { cause: TransportError::TimedOut { .. }, .. }) => {
                *self.last_timeout.lock() = Some(Instant::now());
            }
            Err(HomeserverError::NoAnswer { .. }) => {}
            _ => *self.last_timeout.lock() = None,
        }
    }

    /// Where the homeserver took token hashes last. Most do so in Matrix's own way, so that it is
    /// tried first, and the others are found by what they answer.
    #[must_use]
    pub fn endpoint(&self) -> LoginEndpoint {
        self.endpoint.lock().unwrap_or(LoginEndpoint::Homeserver)
    }

    /// Asks the homeserver where it takes token hashes, and remembers it.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn find_endpoint(&self, slot: &Slot<'_>) -> Result<LoginEndpoint, HomeserverError> {
        let result = slot.homeserver.login_endpoint().await;
        self.note(&result);
        let endpoint = result?;
        *self.endpoint.lock() = Some(endpoint);
        Ok(endpoint)
    }
}
