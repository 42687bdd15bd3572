//! What carries requests to Vault: one pool of connections, one time limit, one bound on answers.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use rustify::endpoint::Endpoint;
use rustify::enums::RequestMethod;
use url::Url;
use zeroize::Zeroizing;

use super::error::{self, VaultError};
use super::tls::{client_builder, innermost_cause};
use super::{Address, Token};
use crate::settings::VaultSettings;

/// Longest body that is read. The largest entry a KV engine stores by default is half of it.
const LONGEST_BODY: usize = 1 << 20;

/// Longest wait that a `Retry-After` may ask for.
const LONGEST_HINT: Duration = Duration::from_secs(60);

const X_VAULT_NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const X_VAULT_REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const X_VAULT_TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

/// A pool of connections, and the rules every exchange with Vault keeps to.
pub struct Transport {
    http: Client,
    namespace: Option<HeaderValue>,
    request_timeout: Duration,
}

/// What Vault answered, whatever its status. The body is wiped on drop.
pub struct Answer {
    /// The status of the answer.
    pub status: StatusCode,
    /// The whole body.
    pub body: Zeroizing<Vec<u8>>,
    /// Where a redirect leads.
    pub location: Option<Url>,
    retry_after: Option<Duration>,
}

/// What a request is sent with, beside what its endpoint says.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// A token and the configured namespace.
    Token(&'a Token),
    /// The configured namespace alone, to log in.
    Namespace,
    /// Nothing: for what every server answers to everybody.
    Nothing,
}

impl Transport {
    /// Makes the pool; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up, for example because the system has no root certificates.
    pub fn new(settings: &VaultSettings) -> Result<Self, VaultError> {
        let http = client_builder(settings).build().map_err(|error| {
            VaultError::Unexpected(format!("cannot set up TLS: {}", innermost_cause(error)))
        })?;
        Ok(Self {
            http,
            namespace: settings.namespace.clone().map(|namespace| namespace.to_header()),
            request_timeout: settings.request_timeout,
        })
    }

    /// Sends one request to one address and reads the whole answer.
    ///
    /// The endpoint's own `exec` is not used: it would drop `.` and `..` from paths, read answers
    /// without a bound, and keep nothing of an error but its body.
    ///
    /// # Errors
    /// [`VaultError`]s of the connection, the time limit and the bound. An answer of any status
    /// is not an error here.
    pub async fn send<E: Endpoint>(
        &self,
        address: &Address,
        endpoint: &E,
        credentials: Credentials<'_>,
    ) -> Result<Answer, VaultError> {
        let exchange = async {
            match self.exchange(address, endpoint, credentials).await {
                // A kept-alive connection that the server had closed by the time it was used.
                Err(VaultError::Unreachable { was_connected: true, .. })
                    if matches!(endpoint.method(), RequestMethod::GET) =>
                {
                    self.exchange(address, endpoint, credentials).await
                }
                result => result,
            }
        };
        match tokio::time::timeout(self.request_timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(VaultError::TimedOut {
                address: address.to_string(),
                limit: self.request_timeout,
            }),
        }
    }

    async fn exchange<E: Endpoint>(
        &self,
        address: &Address,
        endpoint: &E,
        credentials: Credentials<'_>,
    ) -> Result<Answer, VaultError> {
        let request = self.request(address, endpoint, credentials).ok_or_else(|| {
            VaultError::Unexpected("cannot build the request to Vault".to_owned())
        })?;
        let response =
            self.http.execute(request).await.map_err(|error| unreachable(address, error))?;
        let status = response.status();
        let location = location(&response);
        let retry_after = retry_after(response.headers());
        let body = read_body(address, response).await?;
        Ok(Answer { status, body, location, retry_after })
    }

    fn request<E: Endpoint>(
        &self,
        address: &Address,
        endpoint: &E,
        credentials: Credentials<'_>,
    ) -> Option<reqwest::Request> {
        let query = endpoint.query().ok()?.filter(|query| !query.is_empty());
        let body = endpoint.body().ok()?.filter(|body| !body.is_empty());
        // Some of the crate's paths begin with a slash or a tab.
        let path = endpoint.path();
        let path = path.trim_start_matches(['/', '\t']);
        let url = address.api_url(path, query.as_deref())?;
        let mut request = reqwest::Request::new(method_of(&endpoint.method()), url);
        let headers = request.headers_mut();
        headers.insert(X_VAULT_REQUEST, HeaderValue::from_static("true"));
        if let Credentials::Token(token) = credentials {
            headers.insert(X_VAULT_TOKEN, token.to_header());
        }
        if let (Credentials::Token(_) | Credentials::Namespace, Some(namespace)) =
            (credentials, &self.namespace)
        {
            headers.insert(X_VAULT_NAMESPACE, namespace.clone());
        }
        if let Some(body) = body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.into());
        }
        Some(request)
    }
}

impl Answer {
    /// The error that an answer of this status is for every kind of request, if it is one.
    pub fn unavailable(&self, address: &Address) -> Option<VaultError> {
        match self.status {
            StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::TOO_MANY_REQUESTS => {}
            status if status.is_server_error() => {}
            status if status.is_redirection() => {
                return Some(VaultError::Unexpected(format!(
                    "Vault at {address} answered with a redirect ({}); \
                     set vault_url to the address it leads to",
                    status.as_u16()
                )));
            }
            _ => return None,
        }
        Some(VaultError::Unavailable {
            address: address.to_string(),
            status: self.status.as_u16(),
            quote: error::quote(&self.body),
            retry_after: self.retry_after,
        })
    }
}

async fn read_body(
    address: &Address,
    mut response: reqwest::Response,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let too_long = || {
        VaultError::Unexpected(format!(
            "Vault at {address} answered with more than {LONGEST_BODY} bytes"
        ))
    };
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > LONGEST_BODY {
        return Err(too_long());
    }
    // Room from the start, so that growing leaves no copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(announced.max(4096)));
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(address, error))? {
        if body.len().saturating_add(chunk.len()) > LONGEST_BODY {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn location(response: &reqwest::Response) -> Option<Url> {
    let target = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(target).ok()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_HINT))
}

fn unreachable(address: &Address, error: reqwest::Error) -> VaultError {
    let was_connected = !error.is_connect();
    let cause = if error.is_timeout() {
        "it did not take the connection in time".to_owned()
    } else {
        innermost_cause(error)
    };
    VaultError::Unreachable { address: address.to_string(), cause, was_connected }
}

fn method_of(method: &RequestMethod) -> Method {
    match method {
        RequestMethod::CONNECT => Method::CONNECT,
        RequestMethod::DELETE => Method::DELETE,
        RequestMethod::GET => Method::GET,
        RequestMethod::HEAD => Method::HEAD,
        RequestMethod::LIST => Method::from_bytes(b"LIST").unwrap_or(Method::GET),
        RequestMethod::OPTIONS => Method::OPTIONS,
        RequestMethod::PATCH => Method::PATCH,
        RequestMethod::POST => Method::POST,
        RequestMethod::PUT => Method::PUT,
        RequestMethod::TRACE => Method::TRACE,
    }
}
