//! What is set of an account: its name, its picture, and what only an administrator may set.

use super::super::error::ProvisioningError;
use super::avatar::Avatar;
use super::provision_request::ProvisionRequest;
use super::remote_account::RemoteAccount;
use crate::homeserver::{AccessToken, Profile};

/// What is still to be set of an account.
#[derive(Default)]
pub struct Attributes<'a> {
    /// What others see it called.
    pub display_name: Option<&'a str>,
    /// Its picture.
    pub avatar: Option<Avatar>,
    /// Whether it is to be a server administrator.
    pub is_admin: bool,
    /// Its type.
    pub user_type: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// What a request wants that others do not see already. What they see is not set again: that
    /// would take a login for every account of an import that is run once more.
    pub fn wanted(request: &'a ProvisionRequest, seen: &Profile, avatar: Option<Avatar>) -> Self {
        Self {
            display_name: request
                .display_name
                .as_deref()
                .filter(|_| request.display_name != seen.display_name),
            avatar: avatar.filter(|avatar| match avatar {
                Avatar::Uploaded(uri) => Some(uri) != seen.avatar_url.as_ref(),
                Avatar::File { .. } => true,
            }),
            is_admin: request.is_admin,
            user_type: request.user_type.as_deref(),
        }
    }

    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        self.display_name.is_none()
            && self.avatar.is_none()
            && !self.is_admin
            && self.user_type.is_none()
    }

    /// Sets them with the account's own token; returns the picture's URI.
    ///
    /// # Errors
    /// When one of them takes an admin token, and what the homeserver has against it.
    pub async fn set_by_owner(
        &self,
        account: &RemoteAccount<'_>,
        token: &AccessToken,
    ) -> Result<Option<String>, ProvisioningError> {
        let (id, homeserver) = (account.id(), account.homeserver);
        if self.user_type.is_some() {
            return Err(needs_admin_token("user_type"));
        }
        if self.is_admin {
            let action = format!("ask whether {id} is an administrator");
            let ask = || homeserver.is_own_account_admin(token, id);
            if !account.retry(&action, ask).await? {
                return Err(needs_admin_token("is_admin"));
            }
        }
        if let Some(name) = self.display_name {
            let action = format!("set the display name of {id}");
            account.retry(&action, || homeserver.set_display_name(token, id, name)).await?;
        }
        let Some(avatar) = &self.avatar else { return Ok(None) };
        let uri = avatar.uri(account, token).await?;
        let action = format!("set the avatar of {id}");
        account.retry(&action, || homeserver.set_avatar(token, id, &uri)).await?;
        Ok(Some(uri))
    }
}

/// Without an admin token an account stays what it was created as.
pub fn needs_admin_token(key: &str) -> ProvisioningError {
    ProvisioningError::of_key(
        key,
        "the account was not created with it, and only an admin_access_token can set it now",
    )
}
