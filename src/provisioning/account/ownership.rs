//! Whose an account is that was left half-made.
//!
//! Whoever can log in with the intent's password created the account, by registration. An account
//! that was created over the admin API, or at Matrix Authentication Service (MAS), has no password.
//! It is ours if nothing speaks against it: see [`Authority::evidence`].

use super::super::authority::{Authority, Evidence};
use super::super::error::ProvisioningError;
use super::account_entry::Intent;
use super::creation_method::{CreatedAs, CreationMethod};
use super::sessions::{PasswordLogin, Sessions};
use crate::homeserver::Session;

/// Whose an account is.
pub enum Ownership {
    /// Created by the intent.
    Ours {
        /// What it was created as; `None` if the attempts differ in it.
        created_as: Option<CreatedAs>,
        /// The session that proved it.
        session: Option<Box<Session>>,
    },
    /// Nothing tells. Says why.
    Undecided(String),
}

impl Ownership {
    /// Finds out whether an account that exists was created by an intent.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn of(
        intent: &Intent,
        accounts: &Authority<'_>,
        sessions: &Sessions<'_>,
    ) -> Result<Self, ProvisioningError> {
        if accounts.is_mas() {
            return Self::at_mas(intent, accounts).await;
        }
        let mut method = Some(CreationMethod::AdminApi);
        let mut why = "it was to be created over the admin API, and there is no admin access token \
                       to look at it with";
        if intent.was_attempted_by(CreationMethod::Mas) {
            return Ok(Self::Undecided(
                "it was to be created at Matrix Authentication Service, and there is no \
                 mas_admin_api to look at it with"
                    .to_owned(),
            ));
        }
        if intent.was_attempted_by(CreationMethod::SharedSecret) {
            match sessions.try_password(&intent.password).await? {
                PasswordLogin::LoggedIn(session) => {
                    let created_as = intent.created_by(Some(CreationMethod::SharedSecret));
                    return Ok(Self::Ours { created_as, session: Some(session) });
                }
                PasswordLogin::Refused if intent.was_attempted_by(CreationMethod::AdminApi) => {}
                PasswordLogin::Refused => {
                    return Ok(Self::Undecided(
                        "the password that it was begun with is refused: it is somebody else's, \
                         or its password was changed, or the homeserver asks others about \
                         passwords"
                            .to_owned(),
                    ));
                }
                PasswordLogin::NotOffered => {
                    method = None;
                    why = "the homeserver takes no passwords, so the one that it was begun with \
                           cannot be tried";
                }
            }
        }
        Ok(match accounts.evidence(intent).await? {
            Evidence::None => Self::Ours { created_as: intent.created_by(method), session: None },
            Evidence::Of(evidence) => Self::Undecided(evidence),
            Evidence::Unknown => Self::Undecided(why.to_owned()),
        })
    }

    async fn at_mas(intent: &Intent, accounts: &Authority<'_>) -> Result<Self, ProvisioningError> {
        Ok(match accounts.evidence(intent).await? {
            Evidence::None => {
                let created_as = intent.created_by(Some(CreationMethod::Mas));
                Self::Ours { created_as, session: None }
            }
            Evidence::Of(evidence) => Self::Undecided(evidence),
            Evidence::Unknown => Self::Undecided("nothing tells".to_owned()),
        })
    }
}
