//! Looks accounts up and creates them, so that it is known whether an account is of our making.

use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::SecretString;

use super::account::creation_method::{CreatedAs, CreationMethod};
use super::error::{ErrorKind, ProvisioningError};
use super::patience::Patience;
use super::provisioner::Provisioner;
use crate::homeserver::{
    self, AccessToken, HomeserverError, Profile, PublicProfile, Registration, Session,
};
use crate::user_id::UserId;

/// What lets us create accounts.
pub struct Authority {
    /// For the admin API, which is used for all that it can do.
    pub admin_token: Option<AccessToken>,
    /// For registration.
    pub shared_secret: Option<SecretString>,
}

/// What the homeserver says of an account.
pub struct AccountLookup {
    /// Whether it exists; `None` if the homeserver does not tell without an admin token.
    pub exists: Option<bool>,
    /// The homeserver's clock, in seconds since 1970.
    pub date: Option<u64>,
    /// What others see of it, as far as the homeserver tells.
    pub profile: Profile,
    /// What only an admin token is told.
    pub details: Option<homeserver::Account>,
}

/// How the creation of an account ended.
pub struct Creation {
    /// What came out of it.
    pub outcome: Result<Created, ProvisioningError>,
    /// Whether it may have been done although the outcome does not say so: an answer got lost.
    pub may_have_applied: bool,
}

/// Whose account it is.
pub enum Created {
    /// It was not there before, and has a session if that was asked for.
    Ours(Option<Box<Session>>),
    /// It was there already, and nothing about it has been changed.
    AlreadyThere,
}

/// What an account is created with.
pub struct NewAccount<'a> {
    /// Its id.
    pub user_id: &'a UserId,
    /// Its password, where it gets one.
    pub password: &'a SecretString,
    /// What it is created as, where that can be said.
    pub created_as: &'a CreatedAs,
    /// What others see it called.
    pub display_name: Option<&'a str>,
    /// Whether the registration is to log in, because there is no other way to a token.
    pub with_session: bool,
}

impl Authority {
    /// How accounts are created by it.
    ///
    /// # Errors
    /// When there is neither a token nor a secret.
    pub fn means(&self) -> Result<CreationMethod, ProvisioningError> {
        match (&self.admin_token, &self.shared_secret) {
            (Some(_), _) => Ok(CreationMethod::AdminApi),
            (None, Some(_)) => Ok(CreationMethod::SharedSecret),
            (None, None) => Err(ProvisioningError::of_key(
                "admin_access_token",
                "required to create accounts, or else registration_shared_secret",
            )),
        }
    }
}

impl AccountLookup {
    /// Whether somebody put it out of use.
    pub fn is_deactivated(&self) -> bool {
        self.details.as_ref().is_some_and(|account| account.is_deactivated)
    }
}

impl Provisioner {
    /// What lets us create accounts, as it is now.
    pub(crate) async fn authority(&self) -> Result<Authority, ProvisioningError> {
        Ok(Authority {
            admin_token: self.admin_token().await?,
            shared_secret: self.shared_secret().await,
        })
    }

    /// Asks the homeserver about an account.
    pub(crate) async fn look_up(
        &self,
        patience: &Patience,
        user_id: &UserId,
        authority: &Authority,
    ) -> Result<AccountLookup, ProvisioningError> {
        let action = format!("look {user_id} up");
        let Some(token) = &authority.admin_token else {
            let answer = patience
                .insist(&action, || self.homeserver.profile(user_id.as_str()))
                .await
                .map_err(of_another_server)?;
            let (exists, profile) = match answer.value {
                PublicProfile::Profile(profile) => (Some(true), profile),
                PublicProfile::Nothing => (Some(false), Profile::default()),
                PublicProfile::Undisclosed => (None, Profile::default()),
            };
            return Ok(AccountLookup { exists, date: answer.date, profile, details: None });
        };
        let admin = self.homeserver.admin(token);
        let answer = patience
            .insist(&action, || admin.account(user_id.as_str()))
            .await
            .map_err(needs_an_admin)?;
        let profile = answer.value.as_ref().map(|account| Profile {
            display_name: account.display_name.clone(),
            avatar_url: account.avatar_url.clone(),
        });
        Ok(AccountLookup {
            exists: Some(answer.value.is_some()),
            date: answer.date,
            profile: profile.unwrap_or_default(),
            details: answer.value,
        })
    }

    /// Refuses an account that the homeserver does not have.
    pub(crate) async fn must_exist(
        &self,
        patience: &Patience,
        user_id: &UserId,
        admin_token: &AccessToken,
    ) -> Result<(), ProvisioningError> {
        let admin = self.homeserver.admin(admin_token);
        let action = format!("look {user_id} up");
        let answer = patience
            .insist(&action, || admin.account(user_id.as_str()))
            .await
            .map_err(needs_an_admin)?;
        if answer.value.is_some() {
            return Ok(());
        }
        let message = format!("the homeserver has no account {user_id}");
        Err(ProvisioningError {
            status: Some(404),
            errcode: Some("M_NOT_FOUND".to_owned()),
            ..ProvisioningError::new(ErrorKind::Homeserver, message)
        }
        .advise("provision the user first"))
    }

    /// Creates an account if it is not there. Changes nothing about one that is.
    pub(crate) async fn create(
        &self,
        patience: &Patience,
        authority: &Authority,
        new: &NewAccount<'_>,
    ) -> Creation {
        let action = format!("create {}", new.user_id);
        let may_have_applied = AtomicBool::new(false);
        let outcome = patience
            .insist(&action, || async {
                let result = self.try_to_create(authority, new).await;
                if result.as_ref().is_err_and(HomeserverError::may_have_applied) {
                    may_have_applied.store(true, Ordering::Relaxed);
                }
                result
            })
            .await
            .map_err(|error| advise(error, authority))
            .and_then(|answer| answer);
        Creation { outcome, may_have_applied: may_have_applied.into_inner() }
    }

    /// One try. An answer that trying again would not change is the inner result.
    async fn try_to_create(
        &self,
        authority: &Authority,
        new: &NewAccount<'_>,
    ) -> Result<Result<Created, ProvisioningError>, HomeserverError> {
        let result = match (&authority.admin_token, &authority.shared_secret) {
            (Some(token), _) => {
                let is_created = self.homeserver.admin(token).create(new.user_id.as_str()).await;
                is_created.map(|is_created| is_created.then_some(None))
            }
            (None, shared_secret) => {
                let registration = Registration {
                    localpart: new.user_id.localpart(),
                    password: new.password,
                    is_admin: new.created_as.is_admin,
                    user_type: new.created_as.user_type.as_deref(),
                    display_name: new.display_name,
                    inhibit_login: !new.with_session,
                };
                let shared_secret = shared_secret.clone().unwrap_or_default();
                match self.homeserver.register(&shared_secret, &registration).await {
                    Ok(registered) if registered.user_id != new.user_id.as_str() => {
                        self.end(registered.session.map(Box::new)).await;
                        return Ok(Err(other_name(new.user_id, &registered.user_id)));
                    }
                    result => result.map(|registered| Some(registered.session.map(Box::new))),
                }
            }
        };
        match result {
            Ok(Some(session)) => Ok(Ok(Created::Ours(session))),
            Ok(None) => Ok(Ok(Created::AlreadyThere)),
            // Several requests at once get this also from the admin API.
            Err(error) if error.errcode() == Some("M_USER_IN_USE") => Ok(Ok(Created::AlreadyThere)),
            Err(error) => Err(error),
        }
    }
}

/// Registration takes a localpart, and a homeserver of another name makes another id of it.
fn other_name(wanted: &UserId, made: &str) -> ProvisioningError {
    let message = format!("the homeserver's is another one: instead of {wanted} it created {made}");
    ProvisioningError::of_key("server_name", message)
        .advise(format!("correct server_name; nobody has the password of {made}"))
}

/// What the homeserver answers when it cannot ask another one about a user.
fn of_another_server(error: ProvisioningError) -> ProvisioningError {
    if error.status == Some(502) && error.errcode.is_some() {
        return error.advise("check server_name: the homeserver asks another one about this user");
    }
    error
}

/// What to do about a refused creation.
fn advise(error: ProvisioningError, authority: &Authority) -> ProvisioningError {
    if authority.admin_token.is_some() {
        return needs_an_admin(error);
    }
    match (error.status, error.errcode.as_deref()) {
        // What Synapse says of a wrong MAC has no code of its own.
        (Some(403), Some("M_UNKNOWN")) => error.advise("check registration_shared_secret"),
        (Some(400), Some("M_UNKNOWN")) => error.advise(
            "check that registration_shared_secret is set in homeserver.yaml (or give an \
             admin_access_token), and that the user type is a known one",
        ),
        (Some(403 | 404), None | Some("M_UNRECOGNIZED")) => error.advise(HIDDEN),
        _ => error,
    }
}

/// What to do about a token that is none of an administrator's.
fn needs_an_admin(error: ProvisioningError) -> ProvisioningError {
    match (error.status, error.errcode.as_deref()) {
        (Some(403), Some("M_FORBIDDEN")) => {
            error.advise("admin_access_token must be that of a server administrator")
        }
        (Some(403 | 404), None | Some("M_UNRECOGNIZED")) => error.advise(HIDDEN),
        _ => error,
    }
}

const HIDDEN: &str = "/_synapse/admin cannot be reached at this address, as when a proxy hides it: \
                      give the homeserver's own";
