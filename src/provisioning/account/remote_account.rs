//! An account on the homeserver.

use std::time::Duration;

use super::super::error::ProvisioningError;
use super::super::retry::retry;
use crate::homeserver::{AccessToken, Homeserver, HomeserverError};
use crate::retry::Deadline;
use crate::user_id::UserId;

/// How long it may take to end a session that nobody needs, whatever time its verb has left.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// An account on the homeserver, and the time that there is for what is done with it.
#[derive(Clone)]
pub struct RemoteAccount<'a> {
    /// Who has the account.
    pub homeserver: &'a Homeserver,
    /// Its id.
    pub user_id: UserId,
    /// The time that the verb has.
    pub deadline: Deadline,
}

impl RemoteAccount<'_> {
    /// The account's id.
    pub fn id(&self) -> &str {
        self.user_id.as_str()
    }

    /// Sends a request to the homeserver until it succeeds or fails for good.
    ///
    /// # Errors
    /// The last error. `action` says what was wanted, such as "log @a:b in".
    pub async fn retry<T, F: Future<Output = Result<T, HomeserverError>>>(
        &self,
        action: &str,
        request: impl FnMut() -> F,
    ) -> Result<T, ProvisioningError> {
        retry(self.deadline, action, request).await
    }

    /// Logs a token out that nobody needs. Nothing depends on whether that succeeds.
    pub async fn forget(&self, token: &AccessToken) {
        let deadline = Deadline::after(LOGOUT_LIMIT);
        let _ = retry(deadline, "log out", || self.homeserver.log_out(token)).await;
    }
}
