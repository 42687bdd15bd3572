//! Whose an account is that somebody left half-made.
//!
//! Who can log in with the intent's password has created the account, by registration. What
//! was created over the admin API has no password, and so nothing proves whose it is; it is taken
//! for ours if it is younger than the intent and nobody has ever used it.

use super::super::authority::{AccountLookup, Authority};
use super::super::error::ProvisioningError;
use super::super::patience::Patience;
use super::super::provisioner::Provisioner;
use super::account_entry::Intent;
use super::creation_method::{CreatedAs, CreationMethod};
use crate::homeserver::{self, AccessToken, Login, LoginCredentials, Session};
use crate::random::{new_device_id, new_secret};
use crate::user_id::UserId;

/// The login type of passwords.
const PASSWORD: &str = "m.login.password";

/// Whose an account is.
pub enum Ownership {
    /// Created by the intent.
    Ours {
        /// What it was created as; `None` if not all who tried wanted the same.
        created_as: Option<CreatedAs>,
        /// The session that proved it.
        session: Option<Box<Session>>,
    },
    /// Nothing tells. Says why.
    Undecided(String),
}

/// What a login with the intent's password says.
enum ByPassword {
    LoggedIn(Box<Session>),
    Refused,
    NotOffered,
}

impl Provisioner {
    /// Finds out whether an account that exists was created by an intent.
    pub(crate) async fn judge(
        &self,
        patience: &Patience,
        user_id: &UserId,
        intent: &Intent,
        authority: &Authority,
    ) -> Result<Ownership, ProvisioningError> {
        let mut means = Some(CreationMethod::AdminApi);
        let mut why = "it was to be created over the admin API, and there is no admin access token \
                       to look at it with";
        if intent.was_tried_by(CreationMethod::SharedSecret) {
            match self.try_password(patience, user_id, intent).await? {
                ByPassword::LoggedIn(session) => {
                    let created_as = intent.created_by(Some(CreationMethod::SharedSecret));
                    return Ok(Ownership::Ours { created_as, session: Some(session) });
                }
                ByPassword::Refused if intent.was_tried_by(CreationMethod::AdminApi) => {}
                ByPassword::Refused => {
                    return Ok(Ownership::Undecided(
                        "the password that it was begun with is refused: it is somebody else's, \
                         or its password was changed, or the homeserver asks others about \
                         passwords"
                            .to_owned(),
                    ));
                }
                ByPassword::NotOffered => {
                    means = None;
                    why = "the homeserver takes no passwords, so the one that it was begun with \
                           cannot be tried";
                }
            }
        }
        let Some(token) = &authority.admin_token else {
            return Ok(Ownership::Undecided(why.to_owned()));
        };
        match self.evidence_of_others(patience, user_id, intent, authority, token).await? {
            Some(sign) => Ok(Ownership::Undecided(sign)),
            None => Ok(Ownership::Ours { created_as: intent.created_by(means), session: None }),
        }
    }

    async fn try_password(
        &self,
        patience: &Patience,
        user_id: &UserId,
        intent: &Intent,
    ) -> Result<ByPassword, ProvisioningError> {
        if !self.offers(patience, PASSWORD).await? {
            return Ok(ByPassword::NotOffered);
        }
        let device_id = new_device_id()?;
        let login = Login {
            user_id: user_id.as_str(),
            credentials: LoginCredentials::Password(&intent.password),
            device_id: &device_id,
            device_name: None,
        };
        let action = format!("try the password of {user_id}");
        match patience.insist(&action, || self.homeserver.log_in(&login)).await {
            Ok(session) => Ok(ByPassword::LoggedIn(Box::new(session))),
            Err(error) if error.errcode.as_deref() == Some("M_FORBIDDEN") => {
                Ok(ByPassword::Refused)
            }
            Err(error) => Err(error),
        }
    }

    /// What shows that an account that is there is not ours; `None` if nobody has used it, and
    /// nobody else can any more.
    async fn evidence_of_others(
        &self,
        patience: &Patience,
        user_id: &UserId,
        intent: &Intent,
        authority: &Authority,
        token: &AccessToken,
    ) -> Result<Option<String>, ProvisioningError> {
        if let Some(sign) =
            self.evidence_of_use(patience, user_id, intent, authority, token).await?
        {
            return Ok(Some(sign));
        }
        // Should somebody else have created it after all, with a password, that password ends
        // here. Who logged in with it meanwhile has left a device, and is not thrown out: that may
        // be another one of us, who finished the work.
        let password = new_secret()?;
        let admin = self.homeserver.admin(token);
        let action = format!("reset the password of {user_id}");
        let resetting = || admin.reset_password(user_id.as_str(), &password, false);
        match patience.insist(&action, resetting).await {
            // A homeserver whose passwords cannot be changed lets nobody in by them.
            Err(error) if error.errcode.as_deref() == Some("M_FORBIDDEN") => {}
            result => result?,
        }
        self.evidence_of_use(patience, user_id, intent, authority, token).await
    }

    /// What shows that an account is older than the intent, or that somebody uses it.
    async fn evidence_of_use(
        &self,
        patience: &Patience,
        user_id: &UserId,
        intent: &Intent,
        authority: &Authority,
        token: &AccessToken,
    ) -> Result<Option<String>, ProvisioningError> {
        let AccountLookup { details: Some(account), .. } =
            self.look_up(patience, user_id, authority).await?
        else {
            return Ok(Some("it has vanished meanwhile".to_owned()));
        };
        if let Some(sign) = sign_in_details(&account, intent) {
            return Ok(Some(sign.to_owned()));
        }
        let admin = self.homeserver.admin(token);
        let id = user_id.as_str();
        let devices =
            patience.insist(&format!("list the devices of {id}"), || admin.devices(id)).await?;
        let rooms =
            patience.insist(&format!("list the rooms of {id}"), || admin.joined_rooms(id)).await?;
        Ok(match (devices.is_empty(), rooms.is_empty()) {
            (false, _) => Some("a device is logged in to it".to_owned()),
            (_, false) => Some("it is in a room".to_owned()),
            _ => None,
        })
    }
}

fn sign_in_details(account: &homeserver::Account, intent: &Intent) -> Option<&'static str> {
    match intent.started {
        None => return Some("the homeserver did not say when the work on it was begun"),
        Some(started) if account.creation_ts < started => {
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
