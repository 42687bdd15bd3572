//! Sends requests to the admin API, and tells answers from refusals.

use std::sync::Arc;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use super::access_tokens::{AccessTokens, HeldToken};
use super::connections::{Connections, Transport};
use super::oauth::OAuth;
use super::request::{Request, unbuilt};
use super::resource::{Page, Resource, SingleResponse};
use super::{Config, MasError, RequestKind, RequestMetrics, Ulid};
use crate::http::ServerResponse;
use crate::notice::Notices;

/// How much of a list is asked for at once.
const PAGE_SIZE: &str = "100";

/// MAS, as one client of its admin API. Shared by [`Arc`].
///
/// Every exchange has the same time limit, follows no redirect and reads no answer longer than one
/// mebibyte. A request is tried once, and once more with another token if MAS does not know the
/// first one. The caller decides about further attempts.
pub struct MasClient {
    oauth: OAuth,
    tokens: AccessTokens,
}

impl MasClient {
    /// Prepares the connections; connects to nothing. Reads the files that TLS needs. What becomes of
    /// files that change later goes to `notices`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: Config, notices: Notices) -> Result<Self, MasError> {
        let connections = Connections::new(&config, notices.clone())?;
        Ok(Self::with_transport(config, Arc::new(connections), notices))
    }

    pub(super) fn with_transport(
        config: Config,
        transport: Arc<dyn Transport>,
        notices: Notices,
    ) -> Self {
        let oauth = OAuth::new(config, transport, notices);
        Self { oauth, tokens: AccessTokens::default() }
    }

    /// How long requests took.
    #[must_use]
    pub fn metrics(&self) -> &RequestMetrics {
        &self.oauth.metrics
    }

    /// Who we are to MAS.
    #[must_use]
    pub fn client_id(&self) -> &Ulid {
        &self.config().client_id
    }

    pub(super) fn config(&self) -> &Config {
        &self.oauth.config
    }

    pub(super) fn oauth(&self) -> &OAuth {
        &self.oauth
    }

    /// Sends a request to the admin API; only success is an answer.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<ServerResponse, MasError> {
        let answer = self.answer(request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(Self::refused(request, &answer))
    }

    /// Sends a request to the admin API and returns the answer, whatever its status.
    pub(super) async fn answer(&self, request: &Request<'_>) -> Result<ServerResponse, MasError> {
        let token = self.tokens.token(&self.oauth, None).await?;
        let answer = self.exchange(request, &token).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let other = self.tokens.token(&self.oauth, Some(&token)).await?;
        self.exchange(request, &other).await
    }

    /// The error that an answer without success is.
    pub(super) fn refused(request: &Request<'_>, answer: &ServerResponse) -> MasError {
        MasError::refused(request.kind.as_str(), answer, request.is_read(), request.secrets())
    }

    /// Sends a request and reads the resource that is answered.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
    ) -> Result<Resource<T>, MasError> {
        let answer = self.send(request).await?;
        self.understand::<SingleResponse<T>>(request, &answer).map(|response| response.data)
    }

    /// The same, where MAS may say that there is no such resource.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
    ) -> Result<Option<Resource<T>>, MasError> {
        match self.fetch(request).await {
            Ok(resource) => Ok(Some(resource)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request for which there is nothing to read in a success.
    pub(super) async fn act(&self, request: &Request<'_>) -> Result<(), MasError> {
        self.send(request).await.map(drop)
    }

    /// A whole list, page after page.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        kind: RequestKind,
        path: &[&str],
        filters: &[(&str, &str)],
    ) -> Result<Vec<Resource<T>>, MasError> {
        let mut found: Vec<Resource<T>> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = [("count", "false"), ("page[first]", PAGE_SIZE)];
            let cursor = after.as_deref().map(|after| ("page[after]", after));
            let parameters: Vec<_> = filters.iter().copied().chain(page).chain(cursor).collect();
            let request = Request::get(kind, path).with_query(&parameters);
            let answer = self.send(&request).await?;
            let page: Page<T> = self.understand(&request, &answer)?;
            let has_next = page.has_next();
            found.extend(page.data.into_iter().flatten());
            let next = found.last().filter(|_| has_next).map(|last| last.cursor().to_owned());
            match next {
                None => return Ok(found),
                next if next == after => return Err(self.not_of_mas(&request)),
                next => after = next,
            }
        }
    }

    /// Reads the JSON of a success.
    pub(super) fn understand<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        answer: &ServerResponse,
    ) -> Result<T, MasError> {
        // What serde has against an answer may repeat it, token and all.
        serde_json::from_slice(&answer.body).map_err(|_| self.not_of_mas(request))
    }

    /// The error for a success whose body is not of MAS' API.
    pub(super) fn not_of_mas(&self, request: &Request<'_>) -> MasError {
        MasError::Unexpected {
            what: format!(
                "{} answered \"{}\" with something that Matrix Authentication Service does not say; \
                 check that this is the address of its admin API",
                self.config().admin_api,
                request.kind.as_str()
            ),
            may_have_applied: !request.is_read(),
        }
    }

    async fn exchange(
        &self,
        request: &Request<'_>,
        held: &HeldToken,
    ) -> Result<ServerResponse, MasError> {
        let authorization = held.token.to_header().ok_or_else(unbuilt)?;
        self.oauth.exchange(&self.config().admin_api, request, Some(authorization)).await
    }
}
