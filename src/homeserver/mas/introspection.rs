//! What a token is.

use secrecy::ExposeSecret;
use serde::Deserialize;

use super::oauth::Endpoint;
use super::request::Request;
use super::scope::device_in;
use super::{MasClient, MasError, RequestKind, Ulid};
use crate::homeserver::AccessToken;

/// What MAS says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// Nobody may use it, or it is no token: MAS does not say which.
    Inactive,
    /// It works.
    Active {
        /// Which client it was given to; `None` if the client's id is no ULID.
        client_id: Option<Ulid>,
        /// Whose it is.
        user_id: Option<Ulid>,
        /// The device that it has.
        device_id: Option<String>,
    },
}

impl MasClient {
    /// Asks what a token is.
    ///
    /// API: <https://www.rfc-editor.org/rfc/rfc7662>
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn introspect(&self, token: &AccessToken) -> Result<Introspection, MasError> {
        let kind = RequestKind::Introspect;
        let secret = token.secret().expose_secret();
        let fields = [("token", secret), ("token_type_hint", "access_token")];
        let answer = self.oauth().post(kind, Endpoint::Introspection, &fields, secret).await?;
        let request = Request::get_at(kind, "");
        let body: IntrospectionBody = self.understand(&request, &answer)?;
        if !body.active {
            return Ok(Introspection::Inactive);
        }
        let ulid = |text: Option<String>| text.and_then(|text| Ulid::parse(&text).ok());
        let in_scope = || body.scope.as_deref().and_then(device_in).map(ToOwned::to_owned);
        Ok(Introspection::Active {
            device_id: body.device_id.clone().or_else(in_scope),
            client_id: ulid(body.client_id),
            user_id: ulid(body.sub),
        })
    }
}

#[derive(Deserialize)]
struct IntrospectionBody {
    active: bool,
    scope: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
    device_id: Option<String>,
}
