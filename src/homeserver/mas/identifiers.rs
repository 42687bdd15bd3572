//! What else a person is known by: e-mail addresses, and users of identity providers.
//!
//! API: <https://element-hq.github.io/matrix-authentication-service/api/index.html>, under
//! `user-email` and `upstream-oauth-link`.

use reqwest::Method;
use serde::de::IgnoredAny;

use super::request::{ADMIN_API, Request};
use super::{MasClient, MasError, RequestKind, Ulid};

/// The lists of them.
const LISTS: [&str; 2] = ["user-emails", "upstream-oauth-links"];

impl MasClient {
    /// Removes the e-mail addresses of a user, and what lets users of identity providers in.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn remove_identifiers(&self, user: &Ulid) -> Result<(), MasError> {
        for list in LISTS {
            let filter = [("filter[user]", user.as_str())];
            let found = self.list::<IgnoredAny>(RequestKind::User, &[list], &filter).await?;
            for identifier in found {
                self.remove_identifier(list, &identifier.id).await?;
            }
        }
        Ok(())
    }

    async fn remove_identifier(&self, list: &str, id: &Ulid) -> Result<(), MasError> {
        let path = format!("{ADMIN_API}/{list}/{}", id.as_str());
        match self.act(&Request::of(RequestKind::ModifyUser, Method::DELETE, path)).await {
            // Somebody else was faster.
            Err(error) if error.status() == Some(404) && !error.message().is_empty() => Ok(()),
            result => result,
        }
    }
}
