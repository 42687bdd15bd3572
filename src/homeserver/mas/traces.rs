//! What shows that somebody has used an account.

use serde::de::IgnoredAny;

use super::request::RequestKind;
use super::{MasClient, MasError, Ulid};

/// Something at MAS that belongs to a user, and that an account has not which nobody has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// A session in a browser.
    UserSession,
    /// A session of a client that logged in at the homeserver's old endpoints.
    CompatSession,
    /// A session of a client that uses OAuth.
    OAuth2Session,
    /// A session that an administrator's client, or the user, opened.
    PersonalSession,
    /// An e-mail address.
    Email,
    /// A user of an identity provider.
    UpstreamLink,
}

/// Where each is listed, and by which filter those of a user are.
const LISTS: [(Trace, &str, &str); 7] = [
    (Trace::UserSession, "user-sessions", "filter[user]"),
    (Trace::CompatSession, "compat-sessions", "filter[user]"),
    (Trace::OAuth2Session, "oauth2-sessions", "filter[user]"),
    (Trace::PersonalSession, "personal-sessions", "filter[actor_user]"),
    (Trace::PersonalSession, "personal-sessions", "filter[owner_user]"),
    (Trace::Email, "user-emails", "filter[user]"),
    (Trace::UpstreamLink, "upstream-oauth-links", "filter[user]"),
];

impl MasClient {
    /// The first trace of use that there is, sessions that have ended among them.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn first_trace(&self, user: &Ulid) -> Result<Option<Trace>, MasError> {
        for (trace, path, filter) in LISTS {
            let found = self
                .list::<IgnoredAny>(RequestKind::ListSessions, &[path], &[(filter, user.as_str())])
                .await?;
            if !found.is_empty() {
                return Ok(Some(trace));
            }
        }
        Ok(None)
    }
}
