//! What shows that somebody else created an account at Matrix Authentication Service (MAS).

use std::time::SystemTime;

use super::super::account::account_entry::Intent;
use super::super::account::creation_method::CreationMethod;
use super::super::account::creation_time::is_of_the_same_minute;
use crate::homeserver::mas::{Trace, User};

/// What an account itself shows; `None` if it may be the one of the intent.
pub fn evidence_in_user(user: &User, intent: &Intent) -> Option<&'static str> {
    if !intent.was_attempted_by(CreationMethod::Mas) {
        return Some("the work on it was begun before Matrix Authentication Service was there");
    }
    let Some(started) = intent.started else {
        return Some("Matrix Authentication Service did not say when the work on it was begun");
    };
    if !is_of_the_same_minute(started, created_ts(user)) {
        Some("it was not created within a minute of the work on it")
    } else if user.is_deactivated {
        Some("it is deactivated")
    } else if user.is_locked {
        Some("it is locked")
    } else if user.is_admin {
        Some("somebody has made it an administrator")
    } else {
        None
    }
}

/// A trace of use, as a clause.
pub fn in_words(trace: Trace) -> &'static str {
    match trace {
        Trace::UserSession => "somebody has signed in to it in a browser",
        Trace::CompatSession | Trace::OAuth2Session => "a client has logged in to it",
        Trace::PersonalSession => "an administrator has opened a session of it",
        Trace::Email => "it has an e-mail address",
        Trace::UpstreamLink => "it belongs to a user of an identity provider",
    }
}

/// When an account was created, in whole seconds since 1970, as Synapse keeps it.
pub fn created_ts(user: &User) -> u64 {
    let since = user.created_at.time().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::super::super::account::creation_method::CreationAttempt;
    use std::time::Duration;

    use super::super::super::account::creation_method::CreatedAs;
    use super::*;
    use crate::homeserver::mas::{Timestamp, Ulid};

    const STARTED: u64 = 1_700_000_000;

    fn intent(method: CreationMethod, started: Option<u64>) -> Intent {
        Intent {
            login_secret: "secret".into(),
            password: "password".into(),
            started,
            was_free_at_homeserver: true,
            attempts: vec![CreationAttempt { method, wanted: CreatedAs::default() }],
            earlier_versions: Vec::new(),
            external_id: None,
        }
    }

    fn user(created: u64) -> User {
        let created = humantime::format_rfc3339_millis(
            SystemTime::UNIX_EPOCH + Duration::from_millis(1000 * created + 999),
        );
        User {
            id: Ulid::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            username: "bot".to_owned(),
            created_at: Timestamp::try_from(created.to_string()).unwrap(),
            is_locked: false,
            is_deactivated: false,
            is_admin: false,
        }
    }

    #[test]
    fn an_account_of_the_same_minute_is_ours() {
        let intent = intent(CreationMethod::Mas, Some(STARTED));
        for created in [STARTED, STARTED + 1, STARTED + 60, STARTED - 60] {
            assert_eq!(evidence_in_user(&user(created), &intent), None, "{created}");
        }
        for created in [0, STARTED - 61, STARTED + 61, STARTED + 86_400] {
            let evidence = evidence_in_user(&user(created), &intent).unwrap();
            assert!(evidence.contains("within a minute"), "{evidence}");
        }
    }

    #[test]
    fn an_account_that_was_begun_otherwise_is_not() {
        for method in [CreationMethod::SharedSecret, CreationMethod::AdminApi] {
            let evidence = evidence_in_user(&user(STARTED), &intent(method, Some(STARTED)));
            assert!(evidence.unwrap().contains("before Matrix Authentication Service"));
        }
        let without_clock = intent(CreationMethod::Mas, None);
        let evidence = evidence_in_user(&user(STARTED), &without_clock).unwrap();
        assert!(evidence.contains("did not say when"), "{evidence}");
    }

    #[test]
    fn an_account_that_somebody_has_changed_is_not() {
        let intent = intent(CreationMethod::Mas, Some(STARTED));
        for (changed, word) in [
            (User { is_locked: true, ..user(STARTED) }, "locked"),
            (User { is_deactivated: true, ..user(STARTED) }, "deactivated"),
            (User { is_admin: true, ..user(STARTED) }, "administrator"),
        ] {
            let evidence = evidence_in_user(&changed, &intent).unwrap();
            assert!(evidence.contains(word), "{evidence}");
        }
    }

    #[test]
    fn creation_is_kept_in_whole_seconds_as_synapse_has_it() {
        assert_eq!(created_ts(&user(STARTED)), STARTED);
    }
}
