//! Decides to whom a half-made account belongs.
//!
//! Whoever can log in with the intent's password created the account, by registration. An account
//! that was created over the admin API, or at Matrix Authentication Service (MAS), has no password.
//! It is ours if nothing speaks against it: see [`Authority::evidence`].

use super::super::authority::{AccountLookup, Authority, Evidence};
use super::super::error::ProvisioningError;
use super::account_entry::Intent;
use super::creation_method::{CreatedAs, CreationMethod};
use super::creation_time::is_of_the_same_minute;
use super::sessions::{PasswordLogin, Sessions};
use crate::homeserver::Session;

/// Whether an account that the homeserver has, and Matrix Authentication Service has not, may come
/// from an attempt of this intent, which may still be under way. It may if neither had the name
/// when the intent was written, and if that was within the last minute.
pub fn is_left_over(intent: &Intent, found: &AccountLookup) -> bool {
    let is_new = intent
        .started
        .zip(found.date)
        .is_some_and(|(started, now)| is_of_the_same_minute(started, now));
    is_new && intent.was_free_at_homeserver && intent.was_attempted_by(CreationMethod::Mas)
}

/// Whose an account is.
pub enum Ownership {
    /// Created by the intent.
    Ours {
        /// What it was created as; `None` if the attempts differ in it.
        created_as: Option<CreatedAs>,
        /// The session that proved it.
        session: Option<Box<Session>>,
    },
    /// It is unknown. Says why.
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

#[cfg(test)]
mod tests {
    use super::super::creation_method::CreationAttempt;
    use super::*;
    use crate::homeserver::Profile;

    const STARTED: u64 = 1_700_000_000;

    fn intent() -> Intent {
        let wanted = CreatedAs::default();
        Intent {
            login_secret: "secret".into(),
            password: "password".into(),
            started: Some(STARTED),
            was_free_at_homeserver: true,
            attempts: vec![CreationAttempt { method: CreationMethod::Mas, wanted }],
            earlier_versions: Vec::new(),
            external_id: None,
        }
    }

    fn found(date: Option<u64>) -> AccountLookup {
        let (profile, is_at_homeserver) = (Profile::default(), Some(true));
        AccountLookup { exists: Some(false), date, profile, details: None, is_at_homeserver }
    }

    #[test]
    fn what_mas_did_not_keep_is_ours_for_a_minute() {
        let here = |seconds| found(Some(STARTED + seconds));
        assert!(is_left_over(&intent(), &here(0)));
        assert!(is_left_over(&intent(), &here(60)));
        assert!(!is_left_over(&intent(), &here(61)));
    }

    #[test]
    fn without_a_look_before_it_is_not() {
        assert!(!is_left_over(&intent(), &found(None)));
        for other in [
            Intent { was_free_at_homeserver: false, ..intent() },
            Intent { started: None, ..intent() },
            Intent { attempts: Vec::new(), ..intent() },
        ] {
            assert!(!is_left_over(&other, &found(Some(STARTED))));
        }
    }
}
