//! What is set of an account: its name, its picture, and what only an administrator may.

use super::super::error::ProvisioningError;
use super::super::operation::{ClaimedAccount, Operation};
use super::super::patience::Patience;
use super::super::provisioner::Provisioner;
use super::avatar::Avatar;
use crate::homeserver::{self, AccessToken};
use crate::user_id::UserId;

/// What is still to be set of an account.
pub struct Attributes<'a> {
    display_name: Option<&'a str>,
    avatar: Option<Avatar>,
    is_admin: bool,
    user_type: Option<&'a str>,
    by_admin: bool,
}

impl<'a> Attributes<'a> {
    /// What a call wants that is not so already. What others see right now is not set again: that
    /// would take a login for every account of an import that is run once more.
    ///
    /// # Errors
    /// When it takes an admin token, and there is none.
    pub(crate) fn wanted(
        call: &'a Operation<'_>,
        ready: &ClaimedAccount,
        avatar: Option<Avatar>,
    ) -> Result<Self, ProvisioningError> {
        let request = call.request;
        let by_admin = call.authority.admin_token.is_some();
        let seen = &ready.profile;
        let created_as = ready.created_as.clone().unwrap_or_default();
        let user_type = request
            .user_type
            .as_deref()
            .filter(|user_type| by_admin || created_as.user_type.as_deref() != Some(*user_type));
        if user_type.is_some() && !by_admin {
            return Err(needs_admin_token("user_type"));
        }
        Ok(Self {
            display_name: request
                .display_name
                .as_deref()
                .filter(|_| request.display_name != seen.display_name),
            avatar: avatar.filter(|avatar| match avatar {
                Avatar::Uploaded(uri) => Some(uri) != seen.avatar_url.as_ref(),
                Avatar::File { .. } => true,
            }),
            is_admin: request.is_admin && (by_admin || !created_as.is_admin),
            user_type,
            by_admin,
        })
    }

    /// Whether it takes a session of the account's own.
    pub fn need_session(&self) -> bool {
        !self.by_admin && (self.display_name.is_some() || self.avatar.is_some() || self.is_admin)
    }
}

impl Provisioner {
    /// Sets what is wanted, by the admin API if it may be used, else with the user's own token.
    pub(crate) async fn set(
        &self,
        call: &Operation<'_>,
        own_token: Option<&AccessToken>,
        attributes: Attributes<'_>,
    ) -> Result<(), ProvisioningError> {
        let Operation { account, patience, .. } = call;
        let user_id = &account.user_id;
        let Some(admin_token) = &call.authority.admin_token else {
            let Some(token) = own_token else { return Ok(()) };
            let Attributes { display_name, avatar, is_admin, .. } = attributes;
            if is_admin && !self.is_admin(patience, user_id, token).await? {
                return Err(needs_admin_token("is_admin"));
            }
            return self
                .set_own_profile(patience, user_id, token, display_name, avatar)
                .await
                .map(drop);
        };
        let avatar_url = match attributes.avatar {
            Some(avatar) => Some(self.uploaded(patience, admin_token, avatar).await?),
            None => None,
        };
        let attributes = homeserver::Attributes {
            display_name: attributes.display_name,
            avatar_url: avatar_url.as_deref(),
            is_admin: attributes.is_admin.then_some(true),
            user_type: attributes.user_type,
        };
        self.modify(patience, user_id, admin_token, &attributes).await
    }

    /// Whether the account is a server administrator already.
    async fn is_admin(
        &self,
        patience: &Patience,
        user_id: &UserId,
        token: &AccessToken,
    ) -> Result<bool, ProvisioningError> {
        let action = format!("ask whether {user_id} is an administrator");
        patience
            .insist(&action, || self.homeserver.is_own_account_admin(token, user_id.as_str()))
            .await
    }

    /// Sets attributes by the admin API.
    pub(crate) async fn modify(
        &self,
        patience: &Patience,
        user_id: &UserId,
        admin_token: &AccessToken,
        attributes: &homeserver::Attributes<'_>,
    ) -> Result<(), ProvisioningError> {
        let homeserver::Attributes { display_name, avatar_url, is_admin, user_type } = attributes;
        if (display_name, avatar_url, is_admin, user_type) == (&None, &None, &None, &None) {
            return Ok(());
        }
        let admin = self.homeserver.admin(admin_token);
        let action = format!("set what is wanted of {user_id}");
        patience.insist(&action, || admin.modify(user_id.as_str(), attributes)).await
    }

    /// Sets the profile of a user with their own token; returns the picture's URI.
    pub(crate) async fn set_own_profile(
        &self,
        patience: &Patience,
        user_id: &UserId,
        token: &AccessToken,
        display_name: Option<&str>,
        avatar: Option<Avatar>,
    ) -> Result<Option<String>, ProvisioningError> {
        let id = user_id.as_str();
        if let Some(name) = display_name {
            patience
                .insist(&format!("set the display name of {id}"), || {
                    self.homeserver.set_display_name(token, id, name)
                })
                .await?;
        }
        let Some(avatar) = avatar else { return Ok(None) };
        let avatar_url = self.uploaded(patience, token, avatar).await?;
        patience
            .insist(&format!("set the avatar of {id}"), || {
                self.homeserver.set_avatar(token, id, &avatar_url)
            })
            .await?;
        Ok(Some(avatar_url))
    }

    /// The URI of a picture, uploaded if it is a file.
    pub(crate) async fn uploaded(
        &self,
        patience: &Patience,
        token: &AccessToken,
        avatar: Avatar,
    ) -> Result<String, ProvisioningError> {
        match avatar {
            Avatar::Uploaded(uri) => Ok(uri),
            Avatar::File { bytes, content_type } => {
                patience
                    .insist("upload the avatar", || {
                        self.homeserver.upload(token, bytes.clone(), content_type)
                    })
                    .await
            }
        }
    }
}

/// Without an admin token an account stays what it was created as.
fn needs_admin_token(key: &str) -> ProvisioningError {
    ProvisioningError::of_key(
        key,
        "the account was not created with it, and only an admin_access_token can set it now",
    )
}
