//! Synapse's admin API, by the access token of an administrator.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OnceCell;

use super::super::account::account_entry::Intent;
use super::super::account::attributes::Attributes;
use super::super::account::remote_account::RemoteAccount;
use super::super::error::ProvisioningError;
use super::creation::{Created, Creation, Evidence};
use super::credential_source::CredentialSource;
use super::lookup::{ADMIN_API_HIDDEN, AccountDetails, AccountLookup};
use crate::homeserver::{self, AccessToken, Admin, Dated, HomeserverError, Profile};
use crate::random::new_secret;

/// How much earlier than the intent an account may seem to be created, in seconds: the intent has
/// the clock of what answered, which may be a proxy.
const CLOCK_MARGIN: u64 = 60;

/// One account over the admin API.
pub struct AdminApi<'a> {
    source: CredentialSource<'a>,
    account: RemoteAccount<'a>,
    token: OnceCell<AccessToken>,
}

impl<'a> AdminApi<'a> {
    pub fn new(source: CredentialSource<'a>, account: RemoteAccount<'a>) -> Self {
        Self { source, account, token: OnceCell::new() }
    }

    pub async fn check(&self) -> Result<(), ProvisioningError> {
        self.token().await.map(drop)
    }

    pub async fn look_up(&self) -> Result<AccountLookup, ProvisioningError> {
        let answer = self.existing_account().await?;
        let profile = answer.value.as_ref().map(|account| Profile {
            display_name: account.display_name.clone(),
            avatar_url: account.avatar_url.clone(),
        });
        Ok(AccountLookup {
            exists: Some(answer.value.is_some()),
            date: answer.date,
            profile: profile.unwrap_or_default(),
            details: answer.value.as_ref().map(AccountDetails::from),
            is_at_homeserver: None,
        })
    }

    async fn existing_account(
        &self,
    ) -> Result<Dated<Option<homeserver::Account>>, ProvisioningError> {
        let (admin, id) = (self.admin().await?, self.account.id());
        self.retry(&format!("look {id} up"), || admin.account(id)).await
    }

    pub async fn create(&self) -> Creation {
        let may_have_applied = AtomicBool::new(false);
        let outcome = self.try_to_create(&may_have_applied).await;
        Creation { outcome, session: None, may_have_applied: may_have_applied.into_inner() }
    }

    async fn try_to_create(
        &self,
        may_have_applied: &AtomicBool,
    ) -> Result<Created, ProvisioningError> {
        let (admin, id) = (self.admin().await?, self.account.id());
        let create = || async {
            let result = admin.create(id).await;
            if result.as_ref().is_err_and(HomeserverError::may_have_applied) {
                may_have_applied.store(true, Ordering::Relaxed);
            }
            match result {
                // Several requests at once get this also from the admin API.
                Err(error) if error.errcode() == Some("M_USER_IN_USE") => Ok(None),
                result => result,
            }
        };
        let created = self.retry(&format!("create {id}"), create).await?;
        Ok(created.map_or(Created::AlreadyThere, |account| Created::Ours {
            profile: Profile::default(),
            creation_ts: Some(account.creation_ts),
        }))
    }

    /// What shows that an account was created by others. What the admin API creates has no
    /// password, so nothing proves who created it: it counts as ours if it is younger than the
    /// intent and nobody has used it.
    pub async fn evidence(&self, intent: &Intent) -> Result<Evidence, ProvisioningError> {
        if let Some(evidence) = self.evidence_of_use(intent).await? {
            return Ok(Evidence::Of(evidence));
        }
        // Should somebody else have created it after all, with a password, that password ends
        // here. Whoever logged in with it meanwhile has left a device, and is not logged out: that
        // may be another call of ours that finished the work.
        let password = new_secret()?;
        let (admin, id) = (self.admin().await?, self.account.id());
        let reset = || admin.reset_password(id, &password, false);
        match self.retry(&format!("reset the password of {id}"), reset).await {
            // Where passwords cannot be changed nobody can log in with them.
            Err(error) if is_forbidden(&error) => {}
            result => result?,
        }
        let evidence = self.evidence_of_use(intent).await?;
        Ok(evidence.map_or(Evidence::None, Evidence::Of))
    }

    /// What shows that an account is older than the intent, or that somebody uses it.
    async fn evidence_of_use(&self, intent: &Intent) -> Result<Option<String>, ProvisioningError> {
        let Some(account) = self.existing_account().await?.value else {
            return Ok(Some("it has vanished meanwhile".to_owned()));
        };
        if let Some(evidence) = evidence_in_details(&account, intent) {
            return Ok(Some(evidence.to_owned()));
        }
        let (admin, id) = (self.admin().await?, self.account.id());
        // Rooms prove nothing: the homeserver itself lets new accounts join some.
        let list_devices = || admin.devices(id);
        let devices = self.retry(&format!("list the devices of {id}"), list_devices).await?;
        Ok((!devices.is_empty()).then(|| "a device is logged in to it".to_owned()))
    }

    /// Sets attributes of an account that exists; returns the picture's URI.
    pub async fn set(
        &self,
        attributes: &Attributes<'_>,
    ) -> Result<Option<String>, ProvisioningError> {
        if attributes.is_empty() {
            return Ok(None);
        }
        let (admin, id) = (self.admin().await?, self.account.id());
        let avatar_url = match &attributes.avatar {
            Some(avatar) => Some(avatar.uri(&self.account, self.token().await?).await?),
            None => None,
        };
        let to_set = homeserver::Attributes {
            display_name: attributes.display_name,
            avatar_url: avatar_url.as_deref(),
            is_admin: attributes.is_admin.then_some(true),
            user_type: attributes.user_type,
        };
        let action = format!("set what is wanted of {id}");
        self.retry(&action, || admin.modify(id, &to_set)).await?;
        Ok(avatar_url)
    }

    /// A token of the account that belongs to no device.
    pub async fn token_for_account(&self) -> Result<AccessToken, ProvisioningError> {
        let (admin, id) = (self.admin().await?, self.account.id());
        self.retry(&format!("log {id} in"), || admin.log_in_as(id)).await
    }

    pub async fn end_sessions(&self) -> Result<(), ProvisioningError> {
        let (admin, id) = (self.admin().await?, self.account.id());
        let action = format!("log the devices of {id} out");
        let devices = self.retry(&action, || admin.devices(id)).await?;
        if devices.is_empty() {
            return Ok(());
        }
        self.retry(&action, || admin.delete_devices(id, &devices)).await
    }

    pub async fn deactivate(&self) -> Result<(), ProvisioningError> {
        let (admin, id) = (self.admin().await?, self.account.id());
        self.retry(&format!("deactivate {id}"), || admin.deactivate(id)).await
    }

    /// Removes what else lets an intruder in: the password, and addresses by which it can be reset.
    /// Returns what could not be done.
    pub async fn reset_credentials(&self) -> Result<Vec<String>, ProvisioningError> {
        let password = new_secret()?;
        let (admin, id) = (self.admin().await?, self.account.id());
        let mut warnings = Vec::new();
        let reset = || admin.reset_password(id, &password, false);
        match self.retry(&format!("reset the password of {id}"), reset).await {
            Err(error) if is_forbidden(&error) => warnings.push(format!(
                "the password of {id} was not reset, as the homeserver allows no change of \
                 passwords"
            )),
            result => result?,
        }
        let action = format!("remove the addresses of {id}");
        self.retry(&action, || admin.remove_threepids(id)).await?;
        Ok(warnings)
    }

    async fn retry<T, F: Future<Output = Result<T, HomeserverError>>>(
        &self,
        action: &str,
        request: impl FnMut() -> F,
    ) -> Result<T, ProvisioningError> {
        self.account.retry(action, request).await.map_err(advise)
    }

    async fn admin(&self) -> Result<Admin<'_>, ProvisioningError> {
        Ok(self.account.homeserver.admin(self.token().await?))
    }

    /// The token as it is when it is first used.
    async fn token(&self) -> Result<&AccessToken, ProvisioningError> {
        let CredentialSource { credential, notices } = self.source;
        let read = || async {
            AccessToken::parse(&credential.read(notices).await)
                .map_err(|error| ProvisioningError::of_key("admin_access_token", error))
        };
        self.token.get_or_try_init(read).await
    }
}

fn evidence_in_details(account: &homeserver::Account, intent: &Intent) -> Option<&'static str> {
    match intent.started {
        None => return Some("the homeserver did not say when the work on it was begun"),
        Some(started) if account.creation_ts.saturating_add(CLOCK_MARGIN) < started => {
            return Some("it is older than the work on it");
        }
        Some(_) => {}
    }
    if account.last_seen_ts.is_some() {
        Some("somebody has used it")
    } else if account.has_threepids || account.has_external_ids {
        Some("it has an e-mail address, a telephone number or an id of single sign-on")
    } else if account.is_deactivated {
        Some("it is deactivated")
    } else if account.is_guest || account.appservice_id.is_some() {
        Some("it is a guest's or an application service's")
    } else {
        None
    }
}

fn is_forbidden(error: &ProvisioningError) -> bool {
    error.errcode.as_deref() == Some("M_FORBIDDEN")
}

/// What to do about a refusal.
fn advise(error: ProvisioningError) -> ProvisioningError {
    match (error.status, error.errcode.as_deref()) {
        (Some(403), Some("M_FORBIDDEN")) => {
            error.advise("admin_access_token must be that of a server administrator")
        }
        (_, Some("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN")) => {
            error.advise("the admin_access_token is not, or no longer, valid: get a new one")
        }
        (Some(403 | 404), None | Some("M_UNRECOGNIZED")) => error.advise(ADMIN_API_HIDDEN),
        _ => error,
    }
}
