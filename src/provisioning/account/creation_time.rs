//! When the homeserver created an account: tells the account that an entry is for from a later one
//! that somebody else created under the same name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::error::ProvisioningError;
use super::account_id::AccountId;
use super::conflict::{replaced, shown_time};

/// How much younger than its entry an account may be without a warning: the clocks of the
/// homeserver and of Vault may differ.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);

/// How far apart the intent and the creation of its account may be where nothing proves whose the
/// account is, in seconds. Both times are of the same clock, unless a proxy answers with its own.
const LONGEST_DISTANCE: u64 = 60;

/// Whether an account may be the one of an intent, by when they were created.
pub fn is_of_the_same_minute(intended: u64, created: u64) -> bool {
    intended.abs_diff(created) <= LONGEST_DISTANCE
}

/// What is to be kept of an account's creation, and said about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CreationCheck {
    /// What the entry is to keep, in seconds since 1970.
    pub creation_ts: Option<u64>,
    /// Whether the entry has to be written for that alone.
    pub is_changed: bool,
    /// What the caller should know.
    pub warning: Option<String>,
}

/// Makes sure that an account which exists is the one that its entry is for.
///
/// `kept` is what the entry says, `found` what the homeserver says if it was asked by an
/// administrator, and `written` when the entry was written, by Vault's clock.
///
/// # Errors
/// When it is another account, unless that one is to be taken.
pub fn check(
    account: &AccountId,
    kept: Option<u64>,
    found: Option<u64>,
    written: Option<SystemTime>,
    adopt: bool,
) -> Result<CreationCheck, ProvisioningError> {
    let user_id = &account.user_id;
    match (kept, found) {
        (kept, None) => Ok(CreationCheck {
            creation_ts: kept,
            warning: Some(format!(
                "it was not checked that {user_id} is the account that its entry was written for, \
                 which takes an admin access token"
            )),
            ..CreationCheck::default()
        }),
        (Some(kept), Some(found)) if kept != found => {
            if !adopt {
                return Err(replaced(account, kept, found));
            }
            Ok(CreationCheck { creation_ts: Some(found), is_changed: true, warning: None })
        }
        (None, Some(found)) if is_younger(found, written) => {
            if adopt {
                return Ok(CreationCheck {
                    creation_ts: Some(found),
                    is_changed: true,
                    warning: None,
                });
            }
            Ok(CreationCheck {
                warning: Some(format!(
                    "{user_id} was created at {}, after its entry was written: make sure that it \
                     is not somebody else's",
                    shown_time(found)
                )),
                ..CreationCheck::default()
            })
        }
        (_, found) => Ok(CreationCheck { creation_ts: found, ..CreationCheck::default() }),
    }
}

fn is_younger(created: u64, written: Option<SystemTime>) -> bool {
    let created = UNIX_EPOCH.checked_add(Duration::from_secs(created));
    let latest = written.and_then(|written| written.checked_add(CLOCK_MARGIN));
    created.zip(latest).is_some_and(|(created, latest)| created > latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_id::UserId;

    const WRITTEN: u64 = 1_700_000_000;

    fn checked(
        kept: Option<u64>,
        found: Option<u64>,
        adopt: bool,
    ) -> Result<CreationCheck, ProvisioningError> {
        let user_id = UserId::parse("@bot:example.org", "example.org").unwrap();
        let account = AccountId { user_id, path: "secret/users/@bot:example.org".to_owned() };
        let written = UNIX_EPOCH + Duration::from_secs(WRITTEN);
        check(&account, kept, found, Some(written), adopt)
    }

    #[test]
    fn the_account_that_an_entry_is_for_is_taken() {
        for (kept, found) in [(Some(5), 5), (None, WRITTEN - 1000), (None, WRITTEN + 60)] {
            for adopt in [false, true] {
                let expected = CreationCheck { creation_ts: Some(found), ..Default::default() };
                assert_eq!(checked(kept, Some(found), adopt), Ok(expected));
            }
        }
    }

    #[test]
    fn another_account_is_refused_unless_it_is_adopted() {
        for found in [4, 6, WRITTEN] {
            let error = checked(Some(5), Some(found), false).unwrap_err();
            assert!(error.message.contains("1970-01-01T00:00:05Z"), "{error}");
            let adopted = checked(Some(5), Some(found), true).unwrap();
            assert_eq!((adopted.creation_ts, adopted.is_changed), (Some(found), true));
        }
    }

    #[test]
    fn an_account_that_is_younger_than_its_entry_is_pointed_at() {
        let found = WRITTEN + 61;
        let warned = checked(None, Some(found), false).unwrap();
        assert_eq!((warned.creation_ts, warned.is_changed), (None, false));
        assert!(warned.warning.unwrap().contains("after its entry was written"));
        let adopted = checked(None, Some(found), true).unwrap();
        assert_eq!((adopted.creation_ts, adopted.warning), (Some(found), None));
    }

    #[test]
    fn what_cannot_be_checked_is_said() {
        for kept in [None, Some(5)] {
            let unchecked = checked(kept, None, false).unwrap();
            assert_eq!((unchecked.creation_ts, unchecked.is_changed), (kept, false));
            assert!(unchecked.warning.unwrap().contains("was not checked"));
        }
    }
}
