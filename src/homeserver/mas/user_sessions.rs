//! User sessions: those of browsers at MAS itself, by which a person approves others.
//!
//! API: <https://element-hq.github.io/matrix-authentication-service/api/index.html>, under
//! `user-session`.

use serde::de::IgnoredAny;

use super::request::Request;
use super::{MasClient, MasError, RequestKind, Ulid};

impl MasClient {
    /// The ids of the active sessions of a user in browsers.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn user_sessions(&self, user: &Ulid) -> Result<Vec<Ulid>, MasError> {
        let filters = [("filter[user]", user.as_str()), ("filter[status]", "active")];
        let found = self
            .list::<IgnoredAny>(RequestKind::ListSessions, &["user-sessions"], &filters)
            .await?;
        Ok(found.into_iter().map(|session| session.id).collect())
    }

    /// Ends a session in a browser, which may have been ended before.
    ///
    /// # Errors
    /// 404 if there is none, and what kept MAS from answering.
    pub async fn finish_user_session(&self, id: &Ulid) -> Result<(), MasError> {
        let path = ["user-sessions", id.as_str(), "finish"];
        match self.act(&Request::post_nothing(RequestKind::EndSession, &path)).await {
            Err(error) if matches!(error.status(), Some(400 | 409)) => Ok(()),
            result => result,
        }
    }
}
