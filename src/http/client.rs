//! What carries requests: one pool of connections an address, one time limit, one bound on answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, Request, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;

use super::base_url::BaseUrl;
use super::client_config::ClientConfig;
use super::error::TransportError;
use super::failure::classify;
use super::resolver::NameResolver;
use super::response::{BodyError, ServerResponse};
use super::route::Route;
use super::tls::{TlsStore, TlsVersion};
use crate::notice::Notices;
use crate::sync::Mutex;

/// Longest body that is read unless a request says otherwise. The largest entry a KV engine stores
/// by default is half of it.
pub const LONGEST_BODY: usize = 1 << 20;

/// What servers of TLS answer to a request without it: Go's, which Vault and `OpenBao` are built
/// with, nginx, and Apache.
const PLAIN_HTTP_REFUSED: [&[u8]; 3] = [
    b"Client sent an HTTP request to an HTTPS server",
    b"The plain HTTP request was sent to HTTPS port",
    b"speaking plain HTTP to an SSL-enabled server port",
];

/// A pool of connections for each address of a service, and the rules every exchange keeps to.
///
/// No redirect is followed, every exchange has the same time limit, and no answer is read beyond a
/// bound. When TLS files change, later connections use what they hold then.
pub struct HttpClient {
    pools: Vec<Pool>,
    tls: Arc<TlsStore>,
    trust_setting: &'static str,
    request_timeout: Duration,
}

/// The connections to one address.
struct Pool {
    route: Route,
    client: Mutex<CurrentClient>,
}

/// A client, and the version of the TLS files that it was made with.
struct CurrentClient {
    version: u64,
    client: Client,
}

impl HttpClient {
    /// Makes the pools; connects to nothing. Reads the files that TLS needs, which blocks for as
    /// long as the file system takes. What becomes of later changes of them goes to `notices`.
    ///
    /// # Errors
    /// What is wrong, in words: for example, the system may have no root certificates.
    pub fn new(config: &ClientConfig, notices: Notices) -> Result<Self, String> {
        let names = Arc::new(NameResolver::new());
        let routes: Vec<Route> = config
            .addresses
            .iter()
            .map(|address| Route::new(address, config, Arc::clone(&names)))
            .collect::<Result<_, _>>()?;
        let needs_tls = routes.iter().any(Route::needs_tls);
        let tls = TlsStore::new(&config.tls, needs_tls, notices).map_err(|e| e.to_string())?;
        let version = tls.current();
        let connect_timeout = connect_timeout(config.request_timeout);
        let pool = |route: Route| {
            let client = route.client(&version.credentials, connect_timeout)?;
            let client = Mutex::new(CurrentClient { version: version.number, client });
            Ok(Pool { route, client })
        };
        Ok(Self {
            pools: routes.into_iter().map(pool).collect::<Result<_, String>>()?,
            tls,
            trust_setting: config.trust_setting,
            request_timeout: config.request_timeout,
        })
    }

    /// Changes whenever our own certificate does. A server may bind what it gave us to the one
    /// before.
    #[must_use]
    pub fn identity_changes(&self) -> watch::Receiver<u64> {
        self.tls.identity_changes()
    }

    /// Sends one request to one of the addresses and reads the whole answer.
    ///
    /// # Errors
    /// What kept the server from answering. An answer of any status is not an error here.
    pub async fn send(
        &self,
        address: &BaseUrl,
        request: Request,
    ) -> Result<ServerResponse, TransportError> {
        self.send_bounded(address, request, LONGEST_BODY).await
    }

    /// The same with another bound on the answer's body, in bytes.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_bounded(
        &self,
        address: &BaseUrl,
        request: Request,
        longest: usize,
    ) -> Result<ServerResponse, TransportError> {
        let Some(pool) = self.pools.iter().find(|pool| pool.route.address() == address) else {
            let cause = "is none of the configured addresses".to_owned();
            return Err(TransportError::Protocol { cause, was_sent: false });
        };
        self.tls.watch();
        let limit = self.request_timeout;
        let deadline = Instant::now() + limit;
        // The client may be of a later version, never of an earlier one.
        let version = self.tls.current().number;
        let exchange = self.exchange(pool, &request, longest);
        match within(deadline, limit, exchange).await {
            // A kept-alive connection that the server had closed by the time it was used.
            Err(TransportError::Unreachable { was_connected: true, .. })
                if request.method() == Method::GET =>
            {
                within(deadline, limit, self.exchange(pool, &request, longest)).await
            }
            // The files may have been renewed since they were last looked at.
            Err(TransportError::Certificate(text)) => {
                let looking = self.tls.look_again(version, Instant::now());
                // A certificate error is an answer: nobody waits for another one beyond the limit.
                match tokio::time::timeout_at(deadline, looking).await {
                    Ok(true) => {
                        within(deadline, limit, self.exchange(pool, &request, longest)).await
                    }
                    _ => Err(TransportError::Certificate(text)),
                }
            }
            result => result,
        }
    }

    async fn exchange(
        &self,
        pool: &Pool,
        request: &Request,
        longest: usize,
    ) -> Result<ServerResponse, TransportError> {
        // The body is in memory, so there is always a copy, which shares it.
        let Some(mut request) = request.try_clone() else {
            let cause = "cannot be sent this request twice".to_owned();
            return Err(TransportError::Protocol { cause, was_sent: false });
        };
        let url = request.url().clone();
        pool.route.prepare(&mut request);
        let failed = |error| classify(error, &pool.route, self.trust_setting);
        let response = self.client(pool)?.execute(request).await.map_err(failed)?;
        let answer = match ServerResponse::read(response, &url, longest).await {
            Ok(answer) => answer,
            Err(BodyError::Broken(error)) => return Err(failed(error)),
            Err(BodyError::TooLong(longest)) => return Err(TransportError::TooLong(longest)),
        };
        if !pool.route.address().is_https() && refuses_plain_http(&answer) {
            let cause = "expects TLS at this port; write https://".to_owned();
            return Err(TransportError::Protocol { cause, was_sent: false });
        }
        Ok(answer)
    }

    /// The client of an address, made again if the TLS files have changed since.
    fn client(&self, pool: &Pool) -> Result<Client, TransportError> {
        let version = self.tls.current();
        let mut current = pool.client.lock();
        if current.version != version.number {
            *current = pool.renewed(&version, connect_timeout(self.request_timeout))?;
        }
        Ok(current.client.clone())
    }
}

impl Pool {
    fn renewed(
        &self,
        version: &TlsVersion,
        connect_timeout: Duration,
    ) -> Result<CurrentClient, TransportError> {
        let client = self
            .route
            .client(&version.credentials, connect_timeout)
            .map_err(|cause| TransportError::Certificate(format!("cannot set up TLS: {cause}")))?;
        Ok(CurrentClient { version: version.number, client })
    }
}

fn connect_timeout(request_timeout: Duration) -> Duration {
    request_timeout / 2
}

fn refuses_plain_http(answer: &ServerResponse) -> bool {
    answer.status == StatusCode::BAD_REQUEST
        && PLAIN_HTTP_REFUSED
            .iter()
            .any(|text| answer.body.windows(text.len()).any(|window| window == *text))
}

async fn within<T>(
    deadline: Instant,
    limit: Duration,
    exchange: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    tokio::time::timeout_at(deadline, exchange)
        .await
        .unwrap_or(Err(TransportError::TimedOut { limit }))
}
