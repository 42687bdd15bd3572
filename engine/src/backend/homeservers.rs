//! Connections to homeservers, and how many requests there may be at once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use synapse_vault_auth_provider_core::homeserver::{
    ConnectionConfig, Homeserver, HomeserverError, HomeserverUrl, LoginEndpoint,
};
use synapse_vault_auth_provider_core::http::{Authorities, Proxies, Tls, TransportError};
use synapse_vault_auth_provider_core::notice::Notices;
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

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

/// What is known of each address, whichever mounts and settings requests to it go by.
static ADDRESSES: LazyLock<Mutex<HashMap<String, Weak<Load>>>> = LazyLock::new(Mutex::default);

/// What requests do to one address.
struct Load {
    slots: Semaphore,
    last_timeout: Mutex<Option<Instant>>,
}

/// One homeserver.
pub struct HomeserverClient {
    homeserver: Homeserver,
    cs_url: String,
    request_timeout: Duration,
    load: Arc<Load>,
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

impl Load {
    /// What requests do to this address.
    fn at(cs_url: &str) -> Arc<Self> {
        let mut addresses = ADDRESSES.lock();
        if let Some(load) = addresses.get(cs_url).and_then(Weak::upgrade) {
            return load;
        }
        addresses.retain(|_, load| load.strong_count() > 0);
        let slots = Semaphore::new(MOST_REQUESTS);
        let load = Arc::new(Self { slots, last_timeout: Mutex::default() });
        addresses.insert(cs_url.to_owned(), Arc::downgrade(&load));
        load
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
            cs_url: address.cs_url.clone(),
            request_timeout,
            load: Load::at(&address.cs_url),
            endpoint: Mutex::default(),
        })
    }

    /// Waits for leave to send a request.
    pub async fn slot(&self) -> Slot<'_> {
        loop {
            // It is never closed.
            if let Ok(permit) = self.load.slots.acquire().await {
                return Slot { homeserver: &self.homeserver, _permit: permit };
            }
        }
    }

    /// Waits for leave to send a request, as long as a request may take. There is none if the
    /// homeserver hangs before or meanwhile: the host may hold a lock.
    pub async fn slot_unless_hanging(&self) -> Option<Slot<'_>> {
        if self.is_hanging() {
            return None;
        }
        let slot = timeout(self.request_timeout, self.slot()).await.ok()?;
        (!self.is_hanging()).then_some(slot)
    }

    /// Where requests go.
    #[must_use]
    pub fn cs_url(&self) -> &str {
        &self.cs_url
    }

    /// Whether the homeserver has not answered in time, a short while ago.
    fn is_hanging(&self) -> bool {
        self.load.last_timeout.lock().is_some_and(|last| last.elapsed() < HANGING_TIME)
    }

    /// Sends a request, and remembers whether the homeserver answered in time.
    ///
    /// # Errors
    /// Those of the request.
    pub async fn ask<T>(
        &self,
        request: impl Future<Output = Result<T, HomeserverError>>,
    ) -> Result<T, HomeserverError> {
        let began = Instant::now();
        let result = request.await;
        // An address that takes no connection in half the time hangs as well.
        let took_long = began.elapsed() >= self.request_timeout / 2;
        match &result {
            Err(HomeserverError::NoAnswer { cause, .. }) => {
                if took_long || matches!(cause, TransportError::TimedOut { .. }) {
                    *self.load.last_timeout.lock() = Some(Instant::now());
                }
            }
            _ => *self.load.last_timeout.lock() = None,
        }
        result
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
        let endpoint = self.ask(slot.homeserver.login_endpoint()).await?;
        *self.endpoint.lock() = Some(endpoint);
        Ok(endpoint)
    }
}
