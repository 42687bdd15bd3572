//! Sets what others see of an account.

use secrecy::SecretString;

use super::account::avatar::Avatar;
use super::error::ProvisioningError;
use super::login::{Freshness, LoginOptions, access_token_given};
use super::provisioner::Provisioner;
use crate::homeserver::Attributes;

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
        let account = self.account(user_id)?;
        let own_token = access_token.map(access_token_given).transpose()?;
        let patience = self.patience();
        let avatar = Avatar::read(&patience, avatar).await?;
        if display_name.is_none() && avatar.is_none() {
            return Err(ProvisioningError::of_key(
                "display_name",
                "give a display name, an avatar, or both",
            ));
        }
        let user_id = &account.user_id;
        let avatar_url = match (own_token, self.admin_token().await?) {
            (Some(token), _) => {
                self.set_own_profile(&patience, user_id, &token, display_name, avatar).await?
            }
            (None, Some(admin_token)) => {
                let avatar_url = match avatar {
                    Some(avatar) => Some(self.uploaded(&patience, &admin_token, avatar).await?),
                    None => None,
                };
                let attributes = Attributes {
                    display_name,
                    avatar_url: avatar_url.as_deref(),
                    ..Attributes::default()
                };
                // The admin API would create an account that is not there.
                self.must_exist(&patience, user_id, &admin_token).await?;
                self.modify(&patience, user_id, &admin_token, &attributes).await?;
                avatar_url
            }
            (None, None) => {
                let secret = self.secret_of(&patience, &account).await?;
                let options = LoginOptions::default();
                let session =
                    self.log_in(&patience, user_id, &secret, &options, Freshness::Old).await?;
                let token = &session.access_token;
                let result =
                    self.set_own_profile(&patience, user_id, token, display_name, avatar).await;
                self.forget(token).await;
                result?
            }
        };
        Ok(Profile {
            matrix_user_id: user_id.to_string(),
            display_name: display_name.map(str::to_owned),
            avatar_url,
        })
    }
}
