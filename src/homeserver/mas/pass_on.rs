//! Requests of clients for MAS' compatibility layer, passed on as they came.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use zeroize::Zeroizing;

use super::request::{Request, unbuilt};
use super::{MasClient, MasError, RequestKind};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// An endpoint of Matrix' client-server API that MAS serves in place of the homeserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyEndpoint {
    /// How one may log in: `GET /login`.
    Flows,
    /// `POST /login`.
    Login,
    /// `POST /logout`.
    Logout,
    /// `POST /logout/all`.
    LogoutAll,
}

/// A request of a client. Its body is wiped on drop.
pub struct PassedRequest {
    /// What it is for.
    pub endpoint: LegacyEndpoint,
    /// Its body.
    pub body: Zeroizing<Vec<u8>>,
    /// Its header `Content-Type`.
    pub content_type: Option<Vec<u8>>,
    /// Its header `Authorization`.
    pub authorization: Option<Zeroizing<Vec<u8>>>,
    /// Its header `User-Agent`.
    pub user_agent: Option<Vec<u8>>,
    /// The address of the client, as the homeserver sees it.
    pub client_address: Option<String>,
}

/// MAS' answer to a request that was passed on.
pub struct PassedOn {
    /// Its status.
    pub status: u16,
    /// Its body, which is wiped on drop.
    pub body: Zeroizing<Vec<u8>>,
    /// Its header `Content-Type`.
    pub content_type: Option<Vec<u8>>,
    /// Its header `Retry-After`.
    pub retry_after: Option<Vec<u8>>,
}

impl LegacyEndpoint {
    fn method(self) -> Method {
        if self == Self::Flows { Method::GET } else { Method::POST }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Flows | Self::Login => "/_matrix/client/v3/login",
            Self::Logout => "/_matrix/client/v3/logout",
            Self::LogoutAll => "/_matrix/client/v3/logout/all",
        }
    }
}

impl MasClient {
    /// Passes a request on and returns the answer, whatever its status.
    ///
    /// Of the client's headers only those named in [`PassedRequest`] go along. MAS limits how often
    /// somebody may try by the address in `X-Forwarded-For`, so there is one of our own making.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn pass_on(&self, passed: PassedRequest) -> Result<PassedOn, MasError> {
        let Some(public) = &self.config().public else {
            return Err(MasError::unsent(
                "it is not known where Matrix Authentication Service serves clients",
            ));
        };
        let (method, path) = (passed.endpoint.method(), passed.endpoint.path());
        let mut request = Request::of(RequestKind::PassOn, method, path.to_owned());
        if !passed.body.is_empty() {
            request = request.with_raw_body(Bytes::from_owner(passed.body));
        }
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).map_err(|_| unbuilt());
        if let Some(content_type) = &passed.content_type {
            request = request.with_header(CONTENT_TYPE, value(content_type)?);
        }
        if let Some(user_agent) = &passed.user_agent {
            request = request.with_header(USER_AGENT, value(user_agent)?);
        }
        if let Some(authorization) = passed.authorization {
            let value = HeaderValue::from_maybe_shared(Bytes::from_owner(authorization));
            let mut value = value.map_err(|_| unbuilt())?;
            value.set_sensitive(true);
            request = request.with_header(AUTHORIZATION, value);
        }
        if let Some(address) = &passed.client_address {
            request = request.with_header(FORWARDED_FOR, value(address.as_bytes())?);
        }
        let answer = self.oauth().exchange(public, &request, None).await?;
        let header = |name| answer.headers.get(name).map(|value| value.as_bytes().to_vec());
        Ok(PassedOn {
            status: answer.status.as_u16(),
            content_type: header(CONTENT_TYPE),
            retry_after: header(RETRY_AFTER),
            body: answer.body,
        })
    }
}
