//! Logs in with the secret that Vault holds, and out.

use secrecy::SecretString;

use super::account::log_out::LogOut;
use super::account::sessions::{Freshness, LoginOptions};
use super::error::ProvisioningError;
use super::provisioner::Provisioner;
use crate::homeserver::{AccessToken, Session};

impl Provisioner {
    /// Logs an account in with the secret that Vault holds for it.
    ///
    /// # Errors
    /// When Vault holds none, or the homeserver refuses it.
    pub async fn login(
        &self,
        user_id: &str,
        options: &LoginOptions,
    ) -> Result<Session, ProvisioningError> {
        if self.secrets_engine().is_some() {
            return self.log_in_by_lease(user_id, options).await;
        }
        let operation = self.operation(user_id)?;
        let secret = operation.entry.secret().await?;
        if options.logout_others {
            operation.sessions.check_log_out_others().await?;
        }
        let session = operation.sessions.log_in(&secret, options, Freshness::Old).await?;
        if options.logout_others {
            let result = operation.sessions.log_out_others(&secret, &session).await;
            if let Err(error) = result {
                operation.sessions.forget(&session.access_token).await;
                return Err(error);
            }
        }
        Ok(session)
    }

    /// Logs a device out.
    ///
    /// # Errors
    /// When the homeserver refuses, other than for a token that is dead already; where Matrix
    /// Authentication Service signs users in, also when nobody serves that.
    pub async fn logout(&self, access_token: &SecretString) -> Result<(), ProvisioningError> {
        let token = parse_access_token(access_token)?;
        let log_out = LogOut {
            homeserver: &self.homeserver,
            service: &self.login_service,
            mas: self.mas.as_ref(),
        };
        log_out.log_out(&token, self.deadline()).await
    }
}

/// An access token that a caller gave.
///
/// # Errors
/// When it cannot be one.
pub fn parse_access_token(token: &SecretString) -> Result<AccessToken, ProvisioningError> {
    AccessToken::parse(token).map_err(|error| ProvisioningError::of_key("access_token", error))
}
