//! Helps an account that has lost its cross-signing keys, where Matrix Authentication Service (MAS)
//! signs users in.
//!
//! There the homeserver lets a user replace keys only with a browser session at MAS. The secret
//! that MAS and the homeserver share lets us allow it.

use std::time::{Duration, SystemTime};

use super::account::provision_request::ProvisionRequest;
use super::error::ProvisioningError;
use super::operation::Operation;
use super::provisioner::Provisioner;
use crate::homeserver::AccessToken;
use crate::retry::Deadline;

/// The parameter that asks for it.
const PARAMETER: &str = "reset_cross_signing";

/// The key of the secret.
const SHARED_SECRET: &str = "mas_shared_secret";

/// How long Synapse lets keys be replaced, less what the answer may take.
const ALLOWED_FOR: Duration = Duration::from_secs(10 * 60 - 30);

/// What lets us allow a user to replace their keys.
pub struct CrossSigningReset {
    shared_secret: AccessToken,
}

impl Provisioner {
    /// Checks before anything is changed that keys can be allowed to be replaced; `None` if that is
    /// not wanted.
    ///
    /// # Errors
    /// When there is no secret for it, and where MAS does not sign users in.
    pub(super) async fn cross_signing_reset(
        &self,
        request: &ProvisionRequest,
        deadline: Deadline,
    ) -> Result<Option<CrossSigningReset>, ProvisioningError> {
        if !request.reset_cross_signing {
            return Ok(None);
        }
        if self.login_service.mas(&self.homeserver, deadline).await?.is_none() {
            return Err(ProvisioningError::of_key(
                PARAMETER,
                "is for homeservers whose users Matrix Authentication Service signs in: here the \
                 account's own client replaces the keys, and proves with its token hash who it is",
            ));
        }
        let Some(shared_secret) = &self.config.mas_shared_secret else {
            return Err(ProvisioningError::of_key(
                SHARED_SECRET,
                "required to allow that cross-signing keys are replaced",
            )
            .advise(
                "name Synapse's configuration with -c: it has the secret under \
                 matrix_authentication_service",
            ));
        };
        let secret = shared_secret.read(&self.notices).await;
        let shared_secret = AccessToken::parse(&secret)
            .map_err(|problem| ProvisioningError::of_key(SHARED_SECRET, problem))?;
        Ok(Some(CrossSigningReset { shared_secret }))
    }
}

impl CrossSigningReset {
    /// Allows it, and says until when, as of RFC 3339.
    ///
    /// # Errors
    /// What the homeserver has against it.
    pub async fn allow(&self, operation: &Operation<'_>) -> Result<String, ProvisioningError> {
        let remote = &operation.remote;
        let (homeserver, user_id) = (remote.homeserver, &remote.user_id);
        let allow =
            || homeserver.allow_cross_signing_reset(user_id.localpart(), &self.shared_secret);
        let action = format!("let {user_id} replace their cross-signing keys");
        remote.retry(&action, allow).await.map_err(|error| match error.status {
            Some(403) => error.advise(
                "the secret is not that of matrix_authentication_service in the homeserver's \
                 configuration",
            ),
            Some(404) => error.advise(
                "the homeserver must serve /_synapse/mas at this address: use one of its own \
                 listeners, and not what is in front of it",
            ),
            _ => error,
        })?;
        let end = SystemTime::now().checked_add(ALLOWED_FOR).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(humantime::format_rfc3339_seconds(end).to_string())
    }
}
