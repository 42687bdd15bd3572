//! Registration by Synapse's shared secret, and what everybody is told about accounts.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::account::attributes::{Attributes, needs_admin_token};
use super::super::account::creation_method::CreatedAs;
use super::super::account::remote_account::RemoteAccount;
use super::super::error::ProvisioningError;
use super::creation::{Created, Creation, NewAccount};
use super::credential_source::CredentialSource;
use super::lookup::{ADMIN_API_HIDDEN, AccountLookup};
use crate::homeserver::{HomeserverError, Profile, PublicProfile, Registered, Registration};

/// One account, by the shared secret if there is one.
pub struct SharedSecret<'a> {
    source: Option<CredentialSource<'a>>,
    account: RemoteAccount<'a>,
}

impl<'a> SharedSecret<'a> {
    pub fn new(source: Option<CredentialSource<'a>>, account: RemoteAccount<'a>) -> Self {
        Self { source, account }
    }

    pub fn check(&self) -> Result<(), ProvisioningError> {
        self.source().map(drop)
    }

    pub async fn look_up(&self) -> Result<AccountLookup, ProvisioningError> {
        let (homeserver, id) = (self.account.homeserver, self.account.id());
        let answer = self
            .account
            .retry(&format!("look {id} up"), || homeserver.profile(id))
            .await
            .map_err(advise_other_server)?;
        let (exists, profile) = match answer.value {
            PublicProfile::Profile(profile) => (Some(true), profile),
            PublicProfile::Nothing => (Some(false), Profile::default()),
            PublicProfile::Undisclosed => (None, Profile::default()),
        };
        Ok(AccountLookup {
            exists,
            date: answer.date,
            profile,
            details: None,
            is_at_homeserver: None,
        })
    }

    pub async fn create(&self, new: &NewAccount<'_>) -> Creation {
        let may_have_applied = AtomicBool::new(false);
        let registered = self.register(new, &may_have_applied).await;
        let may_have_applied = may_have_applied.into_inner();
        let failed = |error| Creation { outcome: Err(error), session: None, may_have_applied };
        match registered {
            Ok(Some(registered)) if registered.user_id != self.account.id() => {
                if let Some(session) = registered.session {
                    self.account.forget(&session.access_token).await;
                }
                failed(other_name(self.account.id(), &registered.user_id))
            }
            Ok(Some(registered)) => {
                let display_name = new.display_name.map(str::to_owned);
                let profile = Profile { display_name, avatar_url: None };
                let session = registered.session.map(Box::new);
                Creation {
                    outcome: Ok(Created::Ours { profile, creation_ts: None }),
                    session,
                    may_have_applied,
                }
            }
            Ok(None) => {
                Creation { outcome: Ok(Created::AlreadyThere), session: None, may_have_applied }
            }
            Err(error) => failed(error),
        }
    }

    /// Registers the account; `None` if it is there already.
    async fn register(
        &self,
        new: &NewAccount<'_>,
        may_have_applied: &AtomicBool,
    ) -> Result<Option<Registered>, ProvisioningError> {
        let CredentialSource { credential, notices } = self.source()?;
        let shared_secret = credential.read(notices).await;
        let registration = Registration {
            localpart: self.account.user_id.localpart(),
            password: new.password,
            is_admin: new.created_as.is_admin,
            user_type: new.created_as.user_type.as_deref(),
            display_name: new.display_name,
            inhibit_login: !new.with_session,
        };
        let register = || async {
            let result = self.account.homeserver.register(&shared_secret, &registration).await;
            if result.as_ref().is_err_and(HomeserverError::may_have_applied) {
                may_have_applied.store(true, Ordering::Relaxed);
            }
            match result {
                Err(error) if error.errcode() == Some("M_USER_IN_USE") => Ok(None),
                result => result.map(Some),
            }
        };
        let action = format!("create {}", self.account.id());
        self.account.retry(&action, register).await.map_err(advise)
    }

    fn source(&self) -> Result<CredentialSource<'a>, ProvisioningError> {
        self.source.ok_or_else(|| {
            ProvisioningError::of_key(
                "admin_access_token",
                "required to create accounts, or else registration_shared_secret",
            )
        })
    }
}

/// What has to be set of an account that was created as `created_as`, which nothing but the admin
/// API changes later.
pub fn left_to_set<'t>(
    attributes: Attributes<'t>,
    created_as: Option<&CreatedAs>,
) -> Result<Attributes<'t>, ProvisioningError> {
    let created_as = created_as.cloned().unwrap_or_default();
    let has_type = attributes.user_type == created_as.user_type.as_deref();
    if attributes.user_type.is_some() && !has_type {
        return Err(needs_admin_token("user_type"));
    }
    let is_admin = attributes.is_admin && !created_as.is_admin;
    Ok(Attributes { is_admin, user_type: None, ..attributes })
}

/// What only an administrator may do.
pub fn needs_administrator() -> ProvisioningError {
    ProvisioningError::of_key("admin_access_token", "required to change accounts of others")
}

/// Registration takes a localpart, and a homeserver of another name makes another id of it.
fn other_name(wanted: &str, created: &str) -> ProvisioningError {
    let message =
        format!("the homeserver's is another one: instead of {wanted} it created {created}");
    ProvisioningError::of_key("server_name", message)
        .advise(format!("correct server_name; nobody has the password of {created}"))
}

/// What the homeserver answers when it cannot ask another one about a user.
fn advise_other_server(error: ProvisioningError) -> ProvisioningError {
    if error.status == Some(502) && error.errcode.is_some() {
        return error.advise("check server_name: the homeserver asks another one about this user");
    }
    error
}

/// What to do about a refused registration.
fn advise(error: ProvisioningError) -> ProvisioningError {
    match (error.status, error.errcode.as_deref()) {
        // What Synapse says of a wrong MAC has no code of its own.
        (Some(403), Some("M_UNKNOWN")) => error.advise("check registration_shared_secret"),
        (Some(400), Some("M_UNKNOWN")) => error.advise(
            "check that registration_shared_secret is set in homeserver.yaml (or give an \
             admin_access_token), and that the user type is a known one",
        ),
        (Some(403 | 404), None | Some("M_UNRECOGNIZED")) => error.advise(ADMIN_API_HIDDEN),
        _ => error,
    }
}
