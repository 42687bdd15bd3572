//! What carries requests: one pool of connections, one time limit, one bound on answers.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Method, Request, StatusCode};
use url::Url;
use zeroize::Zeroizing;

use super::error::{TransportError, innermost_cause};

/// Longest body that is read unless a request says otherwise. The largest entry a KV engine stores by
/// default is half of it.
pub const LONGEST_BODY: usize = 1 << 20;

/// Room for a body whose length is not announced.
const ROOM_UNLESS_ANNOUNCED: usize = 4096;

/// A pool of connections, and the rules every exchange keeps to.
pub struct HttpClient {
    http: Client,
    request_timeout: Duration,
}

/// What a server answered, whatever its status. The body is wiped on drop.
pub struct ServerResponse {
    /// The status of the answer.
    pub status: StatusCode,
    /// The whole body.
    pub body: Zeroizing<Vec<u8>>,
    /// Where a redirect leads.
    pub location: Option<Url>,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// What the server's clock says, in seconds since 1970.
    pub date: Option<u64>,
    /// All headers.
    pub headers: HeaderMap,
}

impl HttpClient {
    /// Makes the pool; connects to nothing.
    ///
    /// # Errors
    /// What TLS lacks, in words: for example, the system may have no root certificates.
    pub fn new(builder: ClientBuilder, request_timeout: Duration) -> Result<Self, String> {
        let http = builder.build().map_err(innermost_cause)?;
        Ok(Self { http, request_timeout })
    }

    /// The time that one exchange has.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// [`TransportError`]s of the connection, the time limit and the bound. An answer of any status is
    /// not an error here.
    pub async fn send(&self, request: Request) -> Result<ServerResponse, TransportError> {
        self.send_bounded(request, LONGEST_BODY).await
    }

    /// The same with another bound on the answer's body, in bytes.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_bounded(
        &self,
        request: Request,
        longest: usize,
    ) -> Result<ServerResponse, TransportError> {
        let again = (request.method() == Method::GET).then(|| request.try_clone()).flatten();
        let exchange = async {
            match (self.exchange(request, longest).await, again) {
                // A kept-alive connection that the server had closed by the time it was used.
                (Err(TransportError::Unreachable { was_connected: true, .. }), Some(again)) => {
                    self.exchange(again, longest).await
                }
                (result, _) => result,
            }
        };
        tokio::time::timeout(self.request_timeout, exchange)
            .await
            .unwrap_or(Err(TransportError::TimedOut { limit: self.request_timeout }))
    }

    async fn exchange(
        &self,
        request: Request,
        longest: usize,
    ) -> Result<ServerResponse, TransportError> {
        let mut response = self.http.execute(request).await.map_err(unreachable)?;
        let status = response.status();
        let location = location(&response);
        let retry_after = retry_after(response.headers());
        let date = date(response.headers());
        let headers = std::mem::take(response.headers_mut());
        let body = read_body(response, longest).await?;
        Ok(ServerResponse { status, body, location, retry_after, date, headers })
    }
}

async fn read_body(
    mut response: reqwest::Response,
    longest: usize,
) -> Result<Zeroizing<Vec<u8>>, TransportError> {
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > longest {
        return Err(TransportError::TooLong(longest));
    }
    // Room from the start, so that growing leaves no copies behind; not more, as all is wiped.
    let room = if announced > 0 { announced } else { ROOM_UNLESS_ANNOUNCED };
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > longest {
            return Err(TransportError::TooLong(longest));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn location(response: &reqwest::Response) -> Option<Url> {
    response.url().join(text_of(response.headers(), &LOCATION)?).ok()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    text_of(headers, &RETRY_AFTER)?.trim().parse().ok().map(Duration::from_secs)
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date = httpdate::parse_http_date(text_of(headers, &DATE)?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn unreachable(error: reqwest::Error) -> TransportError {
    let was_connected = !error.is_connect();
    let cause = if error.is_timeout() {
        "it did not take the connection in time".to_owned()
    } else {
        innermost_cause(error)
    };
    TransportError::Unreachable { cause, was_connected }
}
