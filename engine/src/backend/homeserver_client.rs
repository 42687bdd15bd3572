//! One homeserver: how many requests there may be at once, and how long they may take.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use synapse_vault_auth_provider_core::homeserver::{
    ConnectionConfig, Homeserver, HomeserverError, HomeserverUrl, LoginEndpoint,
};
use synapse_vault_auth_provider_core::http::{Authorities, Proxies, Tls, TransportError};
use synapse_vault_auth_provider_core::notice::Notices;
use synapse_vault_auth_provider_core::retry::Deadline;
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::logical::LogicalError;
use crate::storage::HomeserverAddress;

/// Requests to one homeserver at once.
const MOST_REQUESTS: usize = 32;

/// How long a homeserver that has not answered in time is taken for one that hangs.
const HANGING_TIME: Duration = Duration::from_secs(10);

/// Most requests that ending one session takes.
const MOST_REQUESTS_OF_AN_END: u32 = 8;

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

/// Leave to send requests, one after the other, until a deadline.
pub struct Slot<'a> {
    client: &'a HomeserverClient,
    deadline: Deadline,
    _permit: SemaphorePermit<'a>,
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

    /// Whether the homeserver has not answered in time, a short while ago.
    fn is_hanging(&self) -> bool {
        self.last_timeout.lock().is_some_and(|last| last.elapsed() < HANGING_TIME)
    }
}

impl HomeserverClient {
    /// Prepares the connections, which blocks: certificates are read.
    ///
    /// # Errors
    /// 400 when the address cannot be used.
    pub fn new(
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

    /// Waits for leave to send requests until the deadline; `None` if there is none by then.
    pub async fn slot(&self, deadline: Deadline) -> Option<Slot<'_>> {
        // It is never closed.
        let permit = timeout_at(deadline.at(), self.load.slots.acquire()).await.ok()?.ok()?;
        Some(Slot { client: self, deadline, _permit: permit })
    }

    /// The same, but there is no leave either if the homeserver hangs before or meanwhile.
    pub async fn slot_unless_hanging(&self, deadline: Deadline) -> Option<Slot<'_>> {
        if self.load.is_hanging() {
            return None;
        }
        let slot = self.slot(deadline).await?;
        (!self.load.is_hanging()).then_some(slot)
    }

    /// Where requests go.
    #[must_use]
    pub fn cs_url(&self) -> &str {
        &self.cs_url
    }

    /// The time for one request from now on.
    #[must_use]
    pub fn time_for_a_request(&self) -> Deadline {
        Deadline::after(self.request_timeout)
    }

    /// The time in which a session can be ended, however long each request takes.
    #[must_use]
    pub fn time_for_an_end(&self) -> Deadline {
        Deadline::after(self.request_timeout.saturating_mul(MOST_REQUESTS_OF_AN_END))
    }

    /// Where the homeserver took token hashes last. Most do so in Matrix's own way, so that it is
    /// tried first, and the others are found by what they answer.
    #[must_use]
    pub fn endpoint(&self) -> LoginEndpoint {
        self.endpoint.lock().unwrap_or(LoginEndpoint::Homeserver)
    }
}

impl Slot<'_> {
    /// The homeserver that may be asked.
    #[must_use]
    pub fn client(&self) -> &HomeserverClient {
        self.client
    }

    /// The same with another deadline.
    #[must_use]
    pub fn until(self, deadline: Deadline) -> Self {
        Self { deadline, ..self }
    }

    /// Sends a request that ends by the deadline, and remembers whether the homeserver answered in
    /// time.
    ///
    /// # Errors
    /// Those of the request, and that there is no answer by the deadline.
    pub async fn ask<'a, T, F>(
        &'a self,
        request: impl FnOnce(&'a Homeserver) -> F,
    ) -> Result<T, HomeserverError>
    where
        F: Future<Output = Result<T, HomeserverError>> + 'a,
    {
        let HomeserverClient { homeserver, request_timeout, load, .. } = self.client;
        let began = Instant::now();
        let answer = timeout_at(self.deadline.at(), request(homeserver)).await;
        let took = began.elapsed();
        let result = answer.unwrap_or_else(|_| {
            Err(HomeserverError::NoAnswer {
                homeserver: homeserver.url().to_string(),
                cause: TransportError::TimedOut { limit: whole_milliseconds(took) },
                may_have_applied: true,
            })
        });
        match &result {
            Err(HomeserverError::NoAnswer { .. }) => {
                // An address that takes no connection in half the time hangs as well. One that had
                // less time than that may answer others.
                if took >= *request_timeout / 2 {
                    *load.last_timeout.lock() = Some(Instant::now());
                }
            }
            _ => *load.last_timeout.lock() = None,
        }
        result
    }

    /// Asks the homeserver where it takes token hashes, and remembers it.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn find_endpoint(&self) -> Result<LoginEndpoint, HomeserverError> {
        let endpoint = self.ask(Homeserver::login_endpoint).await?;
        *self.client.endpoint.lock() = Some(endpoint);
        Ok(endpoint)
    }
}

fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
