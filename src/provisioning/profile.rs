//! Sets what others see of an account.

use secrecy::SecretString;

use super::account::attributes::Attributes;
use super::account::avatar::Avatar;
use super::account::sessions::{Freshness, LoginOptions};
use super::authority::SetOutcome;
use super::error::{ErrorKind, ProvisioningError};
use super::login::parse_access_token;
use super::operation::Operation;
use super::provisioner::Provisioner;

/// What was set of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Whose profile it is.
    pub matrix_user_id: String,
    /// The display name, if it was set.
    pub display_name: Option<String>,
    /// The URI of the picture, if it was set.
    pub avatar_url: Option<String>,
}

impl Provisioner {
    /// Sets the display name, the avatar, or both; what is not given stays.
    ///
    /// By `access_token` if it is given, else by the admin API, else by a login that lasts for as
    /// long as it takes.
    ///
    /// # Errors
    /// When nothing is given, the avatar is no picture, or the homeserver refuses.
    pub async fn update_profile(
        &self,
        user_id: &str,
        display_name: Option<&str>,
        avatar: Option<&str>,
        access_token: Option<&SecretString>,
    ) -> Result<Profile, ProvisioningError> {
        let operation = self.operation(user_id)?;
        let own_token = access_token.map(parse_access_token).transpose()?;
        let avatar = Avatar::read(operation.remote.deadline, avatar).await?;
        let mut attributes = Attributes { display_name, avatar, ..Attributes::default() };
        if attributes.is_empty() {
            return Err(ProvisioningError::of_key(
                "display_name",
                "give a display name, an avatar, or both",
            ));
        }
        let avatar_url = match own_token {
            Some(token) => attributes.set_by_owner(&operation.remote, &token).await?,
            None => self.set_without_token(&operation, &mut attributes).await?,
        };
        Ok(Profile {
            matrix_user_id: operation.account.user_id.to_string(),
            display_name: display_name.map(str::to_owned),
            avatar_url,
        })
    }
}

impl Provisioner {
    /// Sets attributes by the admin API, or else by a login; returns the picture's URI.
    async fn set_without_token(
        &self,
        operation: &Operation<'_>,
        attributes: &mut Attributes<'_>,
    ) -> Result<Option<String>, ProvisioningError> {
        let Operation { account, remote, entry, accounts, sessions } = operation;
        // The admin API would create an account that is not there.
        if accounts.is_administrator() && accounts.look_up().await?.exists == Some(false) {
            let message = format!("the homeserver has no account {}", account.user_id);
            return Err(ProvisioningError {
                status: Some(404),
                errcode: Some("M_NOT_FOUND".to_owned()),
                ..ProvisioningError::new(ErrorKind::Homeserver, message)
            }
            .advise("provision the user first"));
        }
        match accounts.set(attributes).await? {
            SetOutcome::Set(avatar_url) => Ok(avatar_url),
            SetOutcome::TakesOwnSession => {
                if let Some(engine) = self.secrets_engine() {
                    let lease = self.lease_of(&engine, &account.user_id, remote.deadline).await?;
                    let result = attributes.set_by_owner(remote, &lease.access_token).await;
                    self.end_lease(&lease).await;
                    return result;
                }
                let secret = entry.secret().await?;
                let options = LoginOptions::default();
                let session = sessions.log_in(&secret, &options, Freshness::Old).await?;
                let result = attributes.set_by_owner(remote, &session.access_token).await;
                sessions.forget(&session.access_token).await;
                result
            }
        }
    }
}
