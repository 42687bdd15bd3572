//! Sends requests, and tells answers from refusals.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use ruma_common::api::{IncomingResponseExt, MatrixVersion, OutgoingRequest, SupportedVersions};
use serde::de::DeserializeOwned;
use url::Url;

use super::error::repeats;
use super::request::{PathInput, Request};
use super::{AccessToken, ConnectionConfig, HomeserverError, HomeserverUrl};
use crate::http::{ClientConfig, HttpClient, ServerResponse, TransportError};
use crate::notice::Notices;

/// A homeserver, and a pool of connections to it. Shared by [`Arc`](std::sync::Arc).
///
/// Every request has the same time limit, follows no redirect, reads no answer longer than one
/// mebibyte, and is tried once: when to try again is the caller's to say.
pub struct Homeserver {
    url: HomeserverUrl,
    http: HttpClient,
}

/// An answer, and what the homeserver's clock said then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated<T> {
    /// What was answered.
    pub value: T,
    /// The `Date` of the answer in seconds since 1970, if it had one.
    pub date: Option<u64>,
}

/// The oldest version that has all endpoints under the names they have today. Synapse has known it
/// since 1.48.
pub static MATRIX_1_1: LazyLock<SupportedVersions> = LazyLock::new(|| SupportedVersions {
    versions: [MatrixVersion::V1_1].into(),
    features: [].into(),
});

impl Homeserver {
    /// Prepares the connections; connects to nothing. What becomes of TLS files that change later
    /// goes to `notices`.
    ///
    /// # Errors
    /// When TLS cannot be set up, for example because the system has no root certificates.
    pub fn new(
        connection: ConnectionConfig,
        request_timeout: Duration,
        notices: Notices,
    ) -> Result<Self, HomeserverError> {
        let trust_setting = "--ca-cert or SYNAPSE_VAULT_CA_CERT";
        Self::with_trust_setting(connection, request_timeout, trust_setting, notices)
    }

    /// The same where an administrator names authorities to trust elsewhere, which messages say.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_trust_setting(
        connection: ConnectionConfig,
        request_timeout: Duration,
        trust_setting: &'static str,
        notices: Notices,
    ) -> Result<Self, HomeserverError> {
        let ConnectionConfig { url, tls, proxies } = connection;
        let config = ClientConfig {
            addresses: vec![url.base().clone()],
            tls,
            trust_setting,
            proxies,
            request_timeout,
        };
        let http = HttpClient::new(&config, notices)
            .map_err(|cause| HomeserverError::unsent(format!("cannot set up TLS: {cause}")))?;
        Ok(Self { url, http })
    }

    /// Where the homeserver listens.
    #[must_use]
    pub fn url(&self) -> &HomeserverUrl {
        &self.url
    }

    /// Sends one of ruma's requests whose path depends on the version of Matrix.
    pub(super) async fn ask<R>(
        &self,
        request: R,
        token: Option<&AccessToken>,
    ) -> Result<R::IncomingResponse, HomeserverError>
    where
        R: OutgoingRequest,
        for<'a> R::PathBuilder:
            ruma_common::api::path_builder::PathBuilder<Input<'a> = Cow<'a, SupportedVersions>>,
    {
        self.ask_at(request, Cow::Borrowed(&*MATRIX_1_1), token).await
    }

    /// Sends one of ruma's requests.
    pub(super) async fn ask_at<R: OutgoingRequest>(
        &self,
        request: R,
        path_input: PathInput<'_, R>,
        token: Option<&AccessToken>,
    ) -> Result<R::IncomingResponse, HomeserverError> {
        let mut request = Request::of_ruma(request, path_input)?;
        if let Some(token) = token {
            request = request.with_token(token)?;
        }
        let answer = self.send(&request).await?;
        // What ruma has against an answer may repeat it, token and all.
        let response = ::http::Response::new(answer.body.as_slice());
        R::IncomingResponse::try_from_http_response(response)
            .map_err(|_| self.not_of_matrix(&request))
    }

    /// Sends a request and reads the JSON of its success.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
    ) -> Result<T, HomeserverError> {
        let answer = self.send(request).await?;
        self.understand(request, &answer)
    }

    /// Sends a request; only success is an answer.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
    ) -> Result<ServerResponse, HomeserverError> {
        let answer = self.exchange(request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(Self::refused(request, &answer))
    }

    /// Sends a request and returns the answer, whatever its status, unless it is a redirect.
    pub(super) async fn exchange(
        &self,
        request: &Request<'_>,
    ) -> Result<ServerResponse, HomeserverError> {
        let http = request.to_http(&self.url)?;
        let answer = self.http.send(self.url.base(), http).await;
        let answer = answer.map_err(|cause| self.unanswered(request, cause))?;
        if answer.status.is_redirection() {
            return Err(self.redirected(request, &answer));
        }
        Ok(answer)
    }

    /// Reads the JSON of a success.
    pub(super) fn understand<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        answer: &ServerResponse,
    ) -> Result<T, HomeserverError> {
        // What serde has against an answer may repeat it, token and all.
        serde_json::from_slice(&answer.body).map_err(|_| self.not_of_matrix(request))
    }

    /// The error that an answer without success is.
    pub(super) fn refused(request: &Request<'_>, answer: &ServerResponse) -> HomeserverError {
        HomeserverError::refused(answer, request.is_read(), request.secrets())
    }

    /// The error for a success whose body cannot be parsed.
    pub(super) fn not_of_matrix(&self, request: &Request<'_>) -> HomeserverError {
        HomeserverError::Unexpected {
            what: format!(
                "{} answered {} with something that Matrix does not know; \
                 check that this is the address of the homeserver",
                self.url,
                request.name()
            ),
            may_have_applied: !request.is_read(),
        }
    }

    fn unanswered(&self, request: &Request<'_>, cause: TransportError) -> HomeserverError {
        HomeserverError::NoAnswer {
            homeserver: self.url.to_string(),
            may_have_applied: !request.is_read() && cause.may_have_applied(),
            cause,
        }
    }

    fn redirected(&self, request: &Request<'_>, answer: &ServerResponse) -> HomeserverError {
        let target = answer
            .location
            .as_ref()
            .and_then(address_of)
            .filter(|target| !repeats(target, request.secrets()))
            .map(|target| format!(" to {}", crate::text::quote(&target)));
        HomeserverError::unsent(format!(
            "{} answered {} with a redirect{} ({}); \
             use the address that the homeserver itself answers at",
            self.url,
            request.name(),
            target.unwrap_or_default(),
            answer.status.as_u16()
        ))
    }
}

/// A URL without whatever may be secret in it.
fn address_of(url: &Url) -> Option<String> {
    let mut url = url.clone();
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}
