//! What of OAuth 2.0 is needed: where MAS' endpoints are, and who we are to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::connections::Transport;
use super::error::message_in;
use super::request::{Request, unbuilt};
use super::{Config, MasError, RequestKind, RequestMetrics};
use crate::http::{BaseUrl, ServerResponse};
use crate::notice::Notices;
use crate::sync::Mutex;

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The last segments of the endpoints' paths: MAS has them side by side.
const TOKEN: &str = "/token";
const INTROSPECT: &str = "/introspect";

/// MAS' endpoints of OAuth 2.0, as our client.
pub(super) struct OAuth {
    pub config: Config,
    pub transport: Arc<dyn Transport>,
    pub metrics: RequestMetrics,
    pub notices: Notices,
    discovered: Mutex<Option<Endpoints>>,
    /// Whether our client presents its secret in the form, and not in a header: which of the two MAS
    /// takes is a matter of its configuration.
    is_secret_in_form: AtomicBool,
}

/// Where MAS' endpoints are.
#[derive(Clone, Debug)]
struct Endpoints {
    token: BaseUrl,
    introspection: BaseUrl,
}

/// One of the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Token,
    Introspection,
}

impl OAuth {
    pub(super) fn new(config: Config, transport: Arc<dyn Transport>, notices: Notices) -> Self {
        Self {
            config,
            transport,
            metrics: RequestMetrics::default(),
            notices,
            discovered: Mutex::default(),
            is_secret_in_form: AtomicBool::new(false),
        }
    }

    /// Sends one request and returns the answer, whatever its status, unless it is a redirect.
    pub(super) async fn exchange(
        &self,
        server: &BaseUrl,
        request: &Request<'_>,
        authorization: Option<HeaderValue>,
    ) -> Result<ServerResponse, MasError> {
        let mut http = request.to_http(server)?;
        if let Some(authorization) = authorization {
            http.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let _timing = self.metrics.time(request.kind);
        let answer = self.transport.send(server, http).await.map_err(|cause| {
            let may_have_applied = !request.is_read() && cause.may_have_applied();
            MasError::NoAnswer { server: server.to_string(), cause, may_have_applied }
        })?;
        if answer.status.is_redirection() {
            return Err(MasError::unsent(format!(
                "{server} answered \"{}\" with a redirect ({}); use the address that Matrix \
                 Authentication Service itself answers at",
                request.kind.as_str(),
                answer.status.as_u16()
            )));
        }
        Ok(answer)
    }

    /// Posts a form to an endpoint as our client; only success is an answer. No error repeats our
    /// secret or `secret_in_fields`, whoever sends the form back.
    ///
    /// # Errors
    /// [`MasError::ClientRefused`] if MAS does not accept our client, and what kept it from
    /// answering.
    pub(super) async fn post(
        &self,
        kind: RequestKind,
        endpoint: Endpoint,
        fields: &[(&str, &str)],
        secret_in_fields: &str,
    ) -> Result<ServerResponse, MasError> {
        let endpoints = self.endpoints().await?;
        let address = match endpoint {
            Endpoint::Token => &endpoints.token,
            Endpoint::Introspection => &endpoints.introspection,
        };
        let secret = self.config.client_secret.read(&self.notices).await;
        let is_in_form = self.is_secret_in_form.load(Ordering::Relaxed);
        let mut answer = None;
        for is_in_form in [is_in_form, !is_in_form] {
            let sent = self.post_once(kind, address, fields, &secret, secret_in_fields, is_in_form);
            let sent = sent.await.inspect_err(|_| self.forget_endpoints())?;
            if sent.status != StatusCode::UNAUTHORIZED {
                self.is_secret_in_form.store(is_in_form, Ordering::Relaxed);
                answer = Some(sent);
                break;
            }
            // The first refusal is that of the way that worked before.
            answer.get_or_insert(sent);
        }
        let answer = answer.ok_or_else(unbuilt)?;
        if answer.status == StatusCode::NOT_FOUND {
            self.forget_endpoints();
        }
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refused(kind, &answer, &[secret.expose_secret(), secret_in_fields]))
    }

    /// The error that an answer without success is, whose words repeat none of these secrets, neither
    /// plain nor as they stand in a form.
    fn refused(&self, kind: RequestKind, answer: &ServerResponse, secrets: &[&str]) -> MasError {
        let in_form = secrets.iter().map(|secret| in_form(secret)).collect::<Vec<_>>();
        let plain = secrets.iter().copied();
        let secrets: Vec<&str> = plain
            .chain(in_form.iter().map(|secret| secret.as_str()))
            // Every text has the empty one in it.
            .filter(|secret| !secret.is_empty())
            .collect();
        let is_of_client = match answer.status {
            StatusCode::UNAUTHORIZED => true,
            StatusCode::TOO_MANY_REQUESTS => false,
            status => kind == RequestKind::Token && status.is_client_error(),
        };
        if !is_of_client {
            return MasError::refused(kind.as_str(), answer, true, &secrets);
        }
        MasError::ClientRefused {
            client_id: self.config.client_id.to_string(),
            status: answer.status.as_u16(),
            message: message_in(answer, &secrets),
        }
    }

    async fn post_once(
        &self,
        kind: RequestKind,
        address: &BaseUrl,
        fields: &[(&str, &str)],
        secret: &SecretString,
        secret_in_fields: &str,
        is_in_form: bool,
    ) -> Result<ServerResponse, MasError> {
        let client_id = self.config.client_id.as_str();
        let secret = secret.expose_secret();
        let client = [("client_id", client_id), ("client_secret", secret)];
        let form: Vec<_> =
            fields.iter().copied().chain(client.into_iter().filter(|_| is_in_form)).collect();
        let request =
            Request::post_form(kind, &form).concealing(secret).concealing(secret_in_fields);
        let authorization = if is_in_form { None } else { Some(basic(client_id, secret)?) };
        self.exchange(address, &request, authorization).await
    }

    /// Where MAS' endpoints are: as configured, else as MAS says itself.
    async fn endpoints(&self) -> Result<Endpoints, MasError> {
        if let Some(token) = &self.config.token_endpoint {
            let introspection = beside(token, INTROSPECT).unwrap_or_else(|| token.clone());
            return Ok(Endpoints { token: token.clone(), introspection });
        }
        if let Some(endpoints) = self.discovered.lock().clone() {
            return Ok(endpoints);
        }
        let Some(public) = &self.config.public else {
            return Err(MasError::unsent(
                "it is not known where Matrix Authentication Service hands out tokens; \
                 set token_endpoint",
            ));
        };
        let endpoints = self.discover(public).await?;
        *self.discovered.lock() = Some(endpoints.clone());
        Ok(endpoints)
    }

    /// API: <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig>
    async fn discover(&self, public: &BaseUrl) -> Result<Endpoints, MasError> {
        let request = Request::get_at(RequestKind::Discovery, DISCOVERY);
        let answer = self.exchange(public, &request, None).await?;
        if !answer.status.is_success() {
            return Err(MasError::refused(request.kind.as_str(), &answer, true, &[]));
        }
        let odd = |what: &str| {
            MasError::unsent(format!(
                "{public}{DISCOVERY} {what}; check that this is the address of Matrix \
                 Authentication Service, or set token_endpoint"
            ))
        };
        let body: DiscoveryBody =
            serde_json::from_slice(&answer.body).map_err(|_| odd("names no token endpoint"))?;
        let parse = |text: &str| BaseUrl::parse(text).map_err(|_| odd("names no usable address"));
        let token = parse(&body.token_endpoint)?;
        // Our secret must not leave the encryption that the administrator has configured.
        if public.is_https() && !token.is_https() {
            return Err(odd("names a token endpoint without TLS"));
        }
        let introspection = match &body.introspection_endpoint {
            Some(text) => parse(text)?,
            None => beside(&token, INTROSPECT).unwrap_or_else(|| token.clone()),
        };
        if public.is_https() && !introspection.is_https() {
            return Err(odd("names an introspection endpoint without TLS"));
        }
        Ok(Endpoints { token, introspection })
    }

    fn forget_endpoints(&self) {
        *self.discovered.lock() = None;
    }
}

#[derive(Deserialize)]
struct DiscoveryBody {
    token_endpoint: String,
    introspection_endpoint: Option<String>,
}

/// The address of another endpoint in the same place as the token endpoint.
fn beside(token: &BaseUrl, last: &str) -> Option<BaseUrl> {
    let folder = token.path().strip_suffix(TOKEN)?;
    let url = token.origin().join(&format!("{folder}{last}"), None)?;
    BaseUrl::parse(url.as_str()).ok()
}

/// A secret as it stands in a form.
fn in_form(secret: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * secret.len()));
    encoded.extend(byte_serialize(secret.as_bytes()));
    encoded
}

/// The value of an `Authorization` header, wiped when the request is gone. Both parts are encoded
/// as in a form: <https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1>.
fn basic(client_id: &str, secret: &str) -> Result<HeaderValue, MasError> {
    let mut credentials = Zeroizing::new(String::with_capacity(3 * secret.len() + 64));
    credentials.extend(byte_serialize(client_id.as_bytes()));
    credentials.push(':');
    credentials.extend(byte_serialize(secret.as_bytes()));
    let mut header = Zeroizing::new(String::with_capacity(2 * credentials.len() + 16));
    header.push_str("Basic ");
    STANDARD.encode_string(credentials.as_bytes(), &mut header);
    let header = Zeroizing::new(std::mem::take(&mut *header).into_bytes());
    let mut value =
        HeaderValue::from_maybe_shared(Bytes::from_owner(header)).map_err(|_| unbuilt())?;
    value.set_sensitive(true);
    Ok(value)
}
