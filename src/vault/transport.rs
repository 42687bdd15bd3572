//! What carries requests to Vault: one pool of connections, one time limit, one bound on answers.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, redirect};
use rustify::endpoint::Endpoint;
use rustify::enums::RequestMethod;
use zeroize::Zeroizing;

use super::error::{self, VaultError};
use super::{Address, Token};
use crate::settings::VaultSettings;

/// Longest body that is read. The largest entry a KV engine stores by default is half of it.
const LONGEST_BODY: usize = 1 << 20;

const X_VAULT_REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const X_VAULT_TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

/// Connections to one Vault, and the token sent over them.
pub struct Transport {
    http: Client,
    address: Address,
    token: Token,
    request_timeout: Duration,
}

/// What Vault answered, whatever its status. The body is wiped on drop.
pub struct Answer {
    /// The status of the answer.
    pub status: StatusCode,
    /// The whole body.
    pub body: Zeroizing<Vec<u8>>,
}

impl Transport {
    /// Makes the pool; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up, for example because the system has no root certificates.
    pub fn new(settings: &VaultSettings) -> Result<Self, VaultError> {
        // An error means that a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            // The token must not follow a redirect to whatever host it names.
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only();
        if !settings.address.is_https() {
            // No certificate is checked, so a system without any must not keep us from starting.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| {
            VaultError::Unexpected(format!(
                "cannot set up TLS for {}: {}",
                settings.address,
                cause(error)
            ))
        })?;
        Ok(Self {
            http,
            address: settings.address.clone(),
            token: settings.token.clone(),
            request_timeout: settings.request_timeout,
        })
    }

    /// Sends one request and reads the whole answer.
    ///
    /// The endpoint's own `exec` is not used: it would drop `.` and `..` from paths, read answers
    /// without a bound, and keep nothing of an error but its body.
    ///
    /// # Errors
    /// [`VaultError`]s of the connection, the time limit and the bound. An answer of any status
    /// is not an error here.
    pub async fn send<E: Endpoint>(&self, endpoint: &E) -> Result<Answer, VaultError> {
        match tokio::time::timeout(self.request_timeout, self.exchange(endpoint)).await {
            Ok(answer) => answer,
            Err(_) => Err(VaultError::TimedOut {
                address: self.address.to_string(),
                limit: self.request_timeout,
            }),
        }
    }

    async fn exchange<E: Endpoint>(&self, endpoint: &E) -> Result<Answer, VaultError> {
        let unbuildable = || VaultError::Unexpected("cannot build the request to Vault".to_owned());
        let query = endpoint.query().map_err(|_| unbuildable())?.filter(|query| !query.is_empty());
        let body = endpoint.body().map_err(|_| unbuildable())?;
        let url =
            self.address.api_url(&endpoint.path(), query.as_deref()).ok_or_else(unbuildable)?;
        let mut request = self
            .http
            .request(method_of(&endpoint.method()), url)
            .header(X_VAULT_REQUEST, HeaderValue::from_static("true"))
            .header(X_VAULT_TOKEN, self.token.to_header());
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let body = self.read_body(response).await?;
        Ok(Answer { status, body })
    }

    async fn read_body(
        &self,
        mut response: reqwest::Response,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let too_long = || {
            VaultError::Unexpected(format!(
                "Vault at {} answered with more than {LONGEST_BODY} bytes",
                self.address
            ))
        };
        let announced = response.content_length().unwrap_or(0);
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > LONGEST_BODY {
            return Err(too_long());
        }
        // Room from the start, so that growing leaves no copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(announced.max(4096)));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len().saturating_add(chunk.len()) > LONGEST_BODY {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: reqwest::Error) -> VaultError {
        VaultError::Unreachable { address: self.address.to_string(), cause: cause(error) }
    }

    /// The error that an answer of this status is for every kind of request, if it is one.
    pub(super) fn common_error(&self, answer: &Answer) -> Option<VaultError> {
        let quote = || error::quote(&answer.body);
        match answer.status {
            StatusCode::FORBIDDEN => Some(VaultError::Denied { quote: quote() }),
            StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::TOO_MANY_REQUESTS => Some(self.unavailable(answer)),
            status if status.is_server_error() => Some(self.unavailable(answer)),
            status if status.is_redirection() => Some(VaultError::Unexpected(format!(
                "Vault at {} answered with a redirect ({}); \
                 set vault_url to the address it leads to",
                self.address,
                status.as_u16()
            ))),
            _ => None,
        }
    }

    fn unavailable(&self, answer: &Answer) -> VaultError {
        VaultError::Unavailable {
            address: self.address.to_string(),
            status: answer.status.as_u16(),
            quote: error::quote(&answer.body),
        }
    }
}

/// The innermost cause, which is what an administrator can mend. URLs are left out: they hold
/// user ids.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn method_of(method: &RequestMethod) -> Method {
    match method {
        RequestMethod::CONNECT => Method::CONNECT,
        RequestMethod::DELETE => Method::DELETE,
        RequestMethod::GET => Method::GET,
        RequestMethod::HEAD => Method::HEAD,
        // Vault's LIST has a twin that every proxy lets through; see
        // <https://developer.hashicorp.com/vault/api-docs#api-operations>.
        RequestMethod::LIST => Method::from_bytes(b"LIST").unwrap_or(Method::GET),
        RequestMethod::OPTIONS => Method::OPTIONS,
        RequestMethod::PATCH => Method::PATCH,
        RequestMethod::POST => Method::POST,
        RequestMethod::PUT => Method::PUT,
        RequestMethod::TRACE => Method::TRACE,
    }
}
