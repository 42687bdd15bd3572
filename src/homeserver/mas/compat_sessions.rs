//! Compatibility sessions: those of clients that log in at MAS by the homeserver's old endpoints.
//!
//! API: <https://element-hq.github.io/matrix-authentication-service/api/index.html>, under
//! `compat-session`.

use serde::Deserialize;

use super::request::Request;
use super::{MasClient, MasError, RequestKind, Resource, Timestamp, Ulid};

/// What MAS says of a compatibility session.
#[derive(Clone, Debug, Deserialize)]
pub struct CompatSession {
    /// Whose it is.
    pub user_id: Ulid,
    /// The device that it has.
    #[serde(default)]
    pub device_id: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
}

impl MasClient {
    /// The compatibility sessions of a user; the active ones alone, or all that there have been.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn compat_sessions(
        &self,
        user: &Ulid,
        only_active: bool,
    ) -> Result<Vec<Resource<CompatSession>>, MasError> {
        let active = only_active.then_some(("filter[status]", "active"));
        let filters: Vec<_> = [("filter[user]", user.as_str())].into_iter().chain(active).collect();
        self.list(RequestKind::ListSessions, &["compat-sessions"], &filters).await
    }

    /// Ends a compatibility session, which may have been ended before.
    ///
    /// # Errors
    /// 404 if there is none, and what kept MAS from answering.
    pub async fn finish_compat_session(&self, id: &Ulid) -> Result<(), MasError> {
        let path = ["compat-sessions", id.as_str(), "finish"];
        match self.act(&Request::post_nothing(RequestKind::EndSession, &path)).await {
            Err(error) if matches!(error.status(), Some(400 | 409)) => Ok(()),
            result => result,
        }
    }
}
