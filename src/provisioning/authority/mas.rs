//! The admin API of Matrix Authentication Service (MAS), by a client that may use it.

use super::super::account::account_entry::Intent;
use super::super::account::attributes::Attributes;
use super::super::account::creation_method::CreatedAs;
use super::super::account::mas_account::MasAccount;
use super::super::error::ProvisioningError;
use super::creation::Evidence;
use super::lookup::{AccountDetails, AccountLookup};
use super::mas_evidence::{created_ts, evidence_in_user, in_words};
use crate::homeserver::mas::User;
use crate::homeserver::{Profile, PublicProfile};
use crate::random::new_secret;

/// One account, by MAS' admin API.
pub struct Mas<'a> {
    pub(super) mas: MasAccount<'a>,
}

impl<'a> Mas<'a> {
    pub fn new(mas: MasAccount<'a>) -> Self {
        Self { mas }
    }

    pub async fn check(&self) -> Result<(), ProvisioningError> {
        self.mas.client().await.map(drop)
    }

    pub async fn look_up(&self) -> Result<AccountLookup, ProvisioningError> {
        let answer = self.mas.look_up().await?;
        let is_at_mas = answer.value.is_some();
        let (is_at_homeserver, profile) = match self.public_profile().await? {
            PublicProfile::Profile(profile) => (Some(true), profile),
            PublicProfile::Nothing => (Some(false), Profile::default()),
            PublicProfile::Undisclosed => (None, Profile::default()),
        };
        Ok(AccountLookup {
            exists: Some(is_at_mas),
            date: answer.date,
            profile,
            details: answer.value.as_ref().map(details_of),
            is_at_homeserver: is_at_homeserver.filter(|_| !is_at_mas),
        })
    }

    pub(super) async fn public_profile(&self) -> Result<PublicProfile, ProvisioningError> {
        let homeserver = self.mas.account.homeserver;
        let action = format!("see the profile of {}", self.id());
        Ok(self.mas.account.retry(&action, || homeserver.profile(self.id())).await?.value)
    }

    /// What shows that an account was created by others. There is no proof that it is ours: it
    /// counts as ours if MAS had none of its name just before, and nobody has used it.
    pub async fn evidence(&self, intent: &Intent) -> Result<Evidence, ProvisioningError> {
        let Some(user) = self.mas.look_up().await?.value else {
            return Ok(Evidence::Of("it has vanished meanwhile".to_owned()));
        };
        if let Some(evidence) = evidence_in_user(&user, intent) {
            return Ok(Evidence::Of(evidence.to_owned()));
        }
        let trace = self.mas.first_trace(&user).await?;
        Ok(trace.map_or(Evidence::None, |trace| Evidence::Of(in_words(trace).to_owned())))
    }

    /// Sets what MAS itself has of an account, and takes it out of what is left to set.
    pub async fn set(&self, attributes: &mut Attributes<'_>) -> Result<(), ProvisioningError> {
        if attributes.user_type.is_some() {
            return Err(no_user_types());
        }
        if attributes.is_admin {
            let (client, user) = (self.mas.client().await?, self.mas.existing().await?);
            if !user.is_admin {
                let action = format!("make {} an administrator", self.id());
                self.mas.retry(&action, || client.set_admin(&user.id, true)).await?;
            }
            attributes.is_admin = false;
        }
        Ok(())
    }

    /// Removes what else lets an intruder in: the password, addresses by which it can be reset, and
    /// users of identity providers.
    pub async fn reset_credentials(&self) -> Result<(), ProvisioningError> {
        let (client, user) = (self.mas.client().await?, self.mas.existing().await?);
        if self.mas.access.has_passwords() != Some(false) {
            let password = new_secret()?;
            let action = format!("reset the password of {}", self.id());
            let reset = || client.set_password(&user.id, &password, true);
            match self.mas.retry(&action, reset).await {
                // Where MAS takes no passwords nobody can log in with one.
                Err(error) if error.status == Some(403) => {}
                result => result?,
            }
        }
        let action = format!("remove the addresses of {}", self.id());
        self.mas.retry(&action, || client.remove_identifiers(&user.id)).await
    }

    pub async fn end_sessions(&self) -> Result<(), ProvisioningError> {
        self.mas.end_sessions(&self.mas.existing().await?, None).await
    }

    /// Closes the account. MAS answers before its sessions have ended, so they are ended here.
    pub async fn deactivate(&self) -> Result<(), ProvisioningError> {
        let (client, user) = (self.mas.client().await?, self.mas.existing().await?);
        let action = format!("deactivate {}", self.id());
        self.mas.retry(&action, || client.deactivate_user(&user.id, true)).await?;
        self.mas.end_sessions(&user, None).await
    }

    pub(super) fn id(&self) -> &str {
        self.mas.account.id()
    }

    pub(super) fn localpart(&self) -> &str {
        self.mas.account.user_id.localpart()
    }
}

/// What has to be set of an account that was created as `created_as`.
pub fn left_to_set<'t>(
    attributes: Attributes<'t>,
    created_as: Option<&CreatedAs>,
) -> Result<Attributes<'t>, ProvisioningError> {
    let kept = created_as.and_then(|created_as| created_as.user_type.as_deref());
    if attributes.user_type.is_some() && attributes.user_type != kept {
        return Err(no_user_types());
    }
    Ok(Attributes { user_type: None, ..attributes })
}

/// MAS has no types of users.
pub fn no_user_types() -> ProvisioningError {
    ProvisioningError::of_key(
        "user_type",
        "must be left out: Matrix Authentication Service creates accounts without a type",
    )
}

fn details_of(user: &User) -> AccountDetails {
    AccountDetails {
        creation_ts: created_ts(user),
        is_deactivated: user.is_deactivated,
        is_erased: false,
        is_locked: user.is_locked,
        is_suspended: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_for_accounts_from_before() {
        let wanted = || Attributes { user_type: Some("bot"), ..Attributes::default() };
        let bot = CreatedAs { is_admin: false, user_type: Some("bot".to_owned()) };
        assert!(left_to_set(wanted(), Some(&bot)).unwrap().is_empty());
        for created_as in [None, Some(&CreatedAs::default())] {
            let error = left_to_set(wanted(), created_as).err().unwrap();
            assert_eq!(error.key.as_deref(), Some("user_type"));
        }
    }
}
