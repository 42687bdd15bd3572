//! OAuth 2.0 sessions: those of clients that log in at MAS itself.
//!
//! API: <https://element-hq.github.io/matrix-authentication-service/api/index.html>, under
//! `oauth2-session`.

use serde::Deserialize;

use super::request::Request;
use super::scope::{device_in, device_words};
use super::{DeviceId, MasClient, MasError, RequestKind, Resource, Timestamp, Ulid};

/// What MAS says of an OAuth 2.0 session.
#[derive(Clone, Debug, Deserialize)]
pub struct OAuth2Session {
    /// Whose it is; `None` if it is the client's own.
    #[serde(default)]
    pub user_id: Option<Ulid>,
    /// Which client has it.
    pub client_id: Ulid,
    /// What it may do.
    pub scope: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
}

impl OAuth2Session {
    /// The device that it has.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        device_in(&self.scope)
    }
}

impl MasClient {
    /// The OAuth 2.0 sessions of a user; the active ones alone, or all that there have been.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn oauth2_sessions(
        &self,
        user: &Ulid,
        only_active: bool,
    ) -> Result<Vec<Resource<OAuth2Session>>, MasError> {
        let active = only_active.then_some(("filter[status]", "active"));
        let filters: Vec<_> = [("filter[user]", user.as_str())].into_iter().chain(active).collect();
        self.list(RequestKind::ListSessions, &["oauth2-sessions"], &filters).await
    }

    /// Whether an active OAuth 2.0 session of the user has this device.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn has_oauth2_session_on(
        &self,
        user: &Ulid,
        device: &DeviceId,
    ) -> Result<bool, MasError> {
        for word in device_words(device) {
            let filters = [
                ("filter[user]", user.as_str()),
                ("filter[status]", "active"),
                ("filter[scope]", word.as_str()),
            ];
            let found = self
                .list::<OAuth2Session>(RequestKind::ListSessions, &["oauth2-sessions"], &filters)
                .await?;
            let has_device = |session: &Resource<OAuth2Session>| {
                device_in(&session.attributes.scope) == Some(device.as_str())
            };
            if found.iter().any(has_device) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends an OAuth 2.0 session, which may have been ended before.
    ///
    /// # Errors
    /// 404 if there is none, and what kept MAS from answering.
    pub async fn finish_oauth2_session(&self, id: &Ulid) -> Result<(), MasError> {
        let path = ["oauth2-sessions", id.as_str(), "finish"];
        match self.act(&Request::post_nothing(RequestKind::EndSession, &path)).await {
            Err(error) if matches!(error.status(), Some(400 | 409)) => Ok(()),
            result => result,
        }
    }
}
