//! Sends requests to one address of Vault, with their headers, and tells answers that ask to come
//! back later.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::watch;

use super::Address;
use super::connection_config::ConnectionConfig;
use super::error::{self, VaultError};
use super::extra_headers::ExtraHeaders;
use super::header::{AuthNamespace, Token};
use super::request::Request;
pub use crate::http::ServerResponse;
use crate::http::{ClientConfig, HttpClient};
use crate::notice::Notices;

const X_VAULT_INCONSISTENT: HeaderName = HeaderName::from_static("x-vault-inconsistent");
const X_VAULT_INDEX: HeaderName = HeaderName::from_static("x-vault-index");
const X_VAULT_NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const X_VAULT_REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const X_VAULT_TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

/// Exchanges one request for one answer with one address.
pub trait Transport: Send + Sync {
    /// Sends the request and reads the whole answer. An answer of any status is not an error here.
    ///
    /// The future gives [`VaultError`]s of the connection, the time limit and the bound.
    fn send<'a>(
        &'a self,
        address: &'a Address,
        request: &'a Request,
        headers: RequestHeaders<'a>,
    ) -> BoxFuture<'a, Result<ServerResponse, VaultError>>;

    /// Changes whenever our client certificate does; `None` if it never does.
    fn identity_changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// A pool of connections, and the rules every exchange with Vault keeps to.
pub struct HttpTransport {
    http: HttpClient,
    namespace: Option<HeaderValue>,
    extra_headers: Arc<ExtraHeaders>,
}

/// How many writes a node's storage had when it answered. It is opaque: clients only send it back.
///
/// See <https://openbao.org/community/rfcs/index-headers/> and
/// <https://developer.hashicorp.com/vault/docs/enterprise/consistency>.
#[derive(Clone)]
pub struct Index(HeaderValue);

impl Index {
    /// The index of an answer, if it has one.
    pub fn of(answer: &ServerResponse) -> Option<Self> {
        answer.headers.get(X_VAULT_INDEX).cloned().map(Self)
    }
}

/// The headers that a request is sent with.
#[derive(Clone, Copy)]
pub enum RequestHeaders<'a> {
    /// A token and the configured namespace.
    Token(&'a Token),
    /// The same, for a node that has the writes up to this index. One that has not forwards the
    /// request to the active node if `is_forwarded`, and otherwise answers 412.
    TokenAfter { token: &'a Token, index: &'a Index, is_forwarded: bool },
    /// What an auth method needs: the token if there is one already, and the namespace of the
    /// method.
    Auth { token: Option<&'a Token>, namespace: &'a AuthNamespace },
    /// The configured namespace alone.
    Namespace,
    /// Neither, for what Vault answers to everybody.
    Nothing,
}

impl Transport for HttpTransport {
    fn send<'a>(
        &'a self,
        address: &'a Address,
        request: &'a Request,
        headers: RequestHeaders<'a>,
    ) -> BoxFuture<'a, Result<ServerResponse, VaultError>> {
        Box::pin(self.exchange(address, request, headers))
    }

    fn identity_changes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.http.identity_changes())
    }
}

impl HttpTransport {
    /// Makes the pool; connects to nothing. What becomes of TLS files that change later goes to
    /// `notices`.
    ///
    /// # Errors
    /// When TLS cannot be set up, for example because the system has no root certificates.
    pub fn new(config: &ConnectionConfig, notices: Notices) -> Result<Self, VaultError> {
        let client = ClientConfig {
            addresses: config.addresses.iter().map(|address| address.base().clone()).collect(),
            tls: config.tls.clone(),
            trust_setting: "vault_tls.ca_cert",
            proxies: config.proxies.clone(),
            request_timeout: config.request_timeout,
        };
        let http = HttpClient::new(&client, notices.clone())
            .map_err(|cause| VaultError::Unexpected(format!("cannot set up TLS: {cause}")))?;
        let namespace = config.namespace.clone().map(|namespace| namespace.to_header());
        let extra_headers = ExtraHeaders::new(config.headers.clone(), notices);
        Ok(Self { http, namespace, extra_headers })
    }

    async fn exchange(
        &self,
        address: &Address,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Result<ServerResponse, VaultError> {
        let mut http = self.request(address, request, headers).ok_or_else(|| {
            VaultError::Unexpected("cannot build the request to Vault".to_owned())
        })?;
        http.headers_mut().extend(self.extra_headers.now().await);
        let answer = self.http.send_bounded(address.base(), http, request.longest_answer).await;
        answer.map_err(|cause| VaultError::NoAnswer { address: address.to_string(), cause })
    }

    /// The request as it goes to Vault; `None` if it cannot be built.
    pub(super) fn request(
        &self,
        address: &Address,
        request: &Request,
        credentials: RequestHeaders<'_>,
    ) -> Option<reqwest::Request> {
        let url = address.api_url(&request.path, request.query.as_deref())?;
        let mut http = reqwest::Request::new(request.method.clone(), url);
        let headers = http.headers_mut();
        headers.insert(X_VAULT_REQUEST, HeaderValue::from_static("true"));
        if let RequestHeaders::Token(token)
        | RequestHeaders::TokenAfter { token, .. }
        | RequestHeaders::Auth { token: Some(token), .. } = credentials
        {
            headers.insert(X_VAULT_TOKEN, token.to_header());
        }
        if let RequestHeaders::TokenAfter { index: Index(index), is_forwarded, .. } = credentials {
            headers.insert(X_VAULT_INDEX, index.clone());
            if is_forwarded {
                let active = HeaderValue::from_static("forward-active-node");
                headers.insert(X_VAULT_INCONSISTENT, active);
            }
        }
        let namespace = match credentials {
            RequestHeaders::Nothing
            | RequestHeaders::Auth { namespace: AuthNamespace::Root, .. } => None,
            RequestHeaders::Auth { namespace: AuthNamespace::Other(namespace), .. } => {
                Some(namespace.to_header())
            }
            _ => self.namespace.clone(),
        };
        if let Some(namespace) = namespace {
            headers.insert(X_VAULT_NAMESPACE, namespace);
        }
        if let Some(body) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *http.body_mut() = Some(body.clone().into());
        }
        Some(http)
    }
}

/// The error for a status that is an error whatever was asked; `None` for other statuses.
pub fn unavailable(answer: &ServerResponse, address: &Address) -> Option<VaultError> {
    match answer.status {
        StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PRECONDITION_FAILED
        | StatusCode::TOO_MANY_REQUESTS => {}
        status if status.is_server_error() => {}
        StatusCode::BAD_REQUEST if is_being_given_versions(answer) => {}
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
        status: answer.status.as_u16(),
        quote: error::quote(&answer.body),
        retry_after: answer.retry_after,
        allows_stale: !matches!(
            answer.status,
            StatusCode::PRECONDITION_FAILED | StatusCode::TOO_MANY_REQUESTS
        ),
        // A gateway may have passed the request on and lost the answer. When Vault itself says so, it
        // has not done it.
        may_have_applied: answer.status.is_server_error()
            && error::messages(&answer.body).is_none(),
    })
}

/// Whether a KV engine of version 1 is on the way to version 2, or one of version 2 prepares its
/// storage, as in OpenBao after each unseal. The only 400 that is gone a moment later.
fn is_being_given_versions(answer: &ServerResponse) -> bool {
    error::messages(&answer.body).is_some_and(|messages| {
        messages.iter().any(|message| message.contains("from non-versioned to versioned data"))
    })
}
