//! Accounts that are somebody else's, and what to do about it.

use std::time::{Duration, UNIX_EPOCH};

use super::super::error::{ErrorKind, ProvisioningError};
use super::account_id::AccountId;
use super::creation_method::CreatedAs;

/// Longest external id that a message shows, in characters.
const LONGEST_SHOWN: usize = 100;

/// Refuses an account that belongs to another user of the service.
///
/// # Errors
/// When `kept`, the external id in Vault, is not `given`, the caller's.
pub fn check_owner(
    account: &AccountId,
    kept: Option<&str>,
    given: Option<&str>,
) -> Result<(), ProvisioningError> {
    if kept == given {
        return Ok(());
    }
    let user_id = &account.user_id;
    let (message, advice) = match (kept, given) {
        (None, Some(_)) => (
            format!("{user_id} has a secret in Vault and no external id"),
            "if the account is this user's, call again with adopt",
        ),
        (Some(_), None) => (
            format!("{user_id} belongs to a user of a service, who has an external id"),
            "give the external id, or use login if all you need is a token",
        ),
        (Some(kept), Some(given)) => (
            format!(
                "{user_id} belongs to a user with external id {}, and not {}",
                quoted(kept),
                quoted(given)
            ),
            "give each user an account of their own",
        ),
        (None, None) => return Ok(()),
    };
    Err(conflict(message, advice))
}

/// An external id in quotation marks, so that white space shows.
fn quoted(external_id: &str) -> String {
    format!("\"{}\"", external_id.chars().take(LONGEST_SHOWN).collect::<String>().escape_debug())
}

/// Refuses to finish an account that was begun with more or fewer rights than are wanted now.
///
/// # Errors
/// When it was registered as something else, or nobody knows as what.
pub fn check_begun(
    account: &AccountId,
    begun: Option<&CreatedAs>,
    wanted: &CreatedAs,
) -> Result<(), ProvisioningError> {
    let user_id = &account.user_id;
    match begun {
        // The admin API creates nothing special, and sets later what is wanted.
        Some(begun) if begun == wanted || *begun == CreatedAs::default() => Ok(()),
        Some(CreatedAs { is_admin, user_type }) => {
            let user_type = user_type.as_deref().unwrap_or("none");
            Err(conflict(
                format!(
                    "{user_id} was left half-made, and was begun with is_admin={is_admin} and \
                     user_type={user_type}"
                ),
                "call again with these, and change the account afterwards",
            ))
        }
        None => Err(conflict(
            format!(
                "{user_id} was left half-made by calls that wanted a different is_admin or \
                 user_type, and is one of these"
            ),
            "look at the account, and call again with adopt",
        )),
    }
}

/// An account that is there although Vault has nothing of it.
///
/// `version` is that of the entry: 0 if there never was one.
pub fn not_ours(account: &AccountId, version: u32) -> ProvisioningError {
    if version > 0 {
        return conflict(
            format!(
                "{} exists on the homeserver, and version {version} of {} was deleted: by somebody, \
                 or by Vault itself (delete_version_after)",
                account.user_id, account.path
            ),
            "bring that version back (`vault kv undelete`); or if the account is yours, call again \
             with adopt",
        );
    }
    conflict(
        format!(
            "{} exists on the homeserver and Vault holds nothing at {}: it was created by others, \
             or revoked",
            account.user_id, account.path
        ),
        "choose another id; or if the account is yours, call again with adopt",
    )
}

/// An account that somebody created while Vault had a secret for it and the homeserver had none.
pub fn overtaken(account: &AccountId) -> ProvisioningError {
    conflict(
        format!("somebody else has just created {}", account.user_id),
        "if the account is yours, call again with adopt",
    )
}

/// An account that is in use by nobody. `place` says where it can be reactivated.
pub fn deactivated(account: &AccountId, is_erased: bool, place: &str) -> ProvisioningError {
    let what = if is_erased { "deactivated and erased" } else { "deactivated" };
    conflict(
        format!("{} is {what}", account.user_id),
        &format!("choose another id, or reactivate the account {place}"),
    )
}

/// An account that exists, and of which the homeserver shows nothing.
pub fn without_profile(account: &AccountId) -> ProvisioningError {
    conflict(
        format!(
            "{} exists and has no profile: it was erased, or its name and picture were removed",
            account.user_id
        ),
        "give an admin_access_token, which tells; or if the account is yours, call again with adopt",
    )
}

/// An account that was created after the one that the entry is for. Both times are in seconds since
/// 1970.
pub fn replaced(account: &AccountId, kept: u64, found: u64) -> ProvisioningError {
    conflict(
        format!(
            "{} is not the account that {} is for: it was created at {}, and that one at {}",
            account.user_id,
            account.path,
            shown_time(found),
            shown_time(kept)
        ),
        "if the account is yours, call again with adopt; if not, remove the entry",
    )
}

/// What to say of a version that Vault will delete by itself.
pub fn will_be_deleted(path: &str, time: &str) -> String {
    format!(
        "Vault deletes {path} at {time}, as its delete_version_after says: nobody can log in after \
         that"
    )
}

/// An entry that is about to go.
pub fn revoking(account: &AccountId) -> ProvisioningError {
    conflict(
        format!("{} is being revoked: {} says so", account.user_id, account.path),
        "revoke the user again to finish it; then the account can be taken with adopt",
    )
}

/// An account that was left half-made.
pub fn unfinished(account: &AccountId) -> ProvisioningError {
    let path = &account.path;
    conflict(
        format!("the account {} was left half-made: {path} says what is intended", account.user_id),
        "provision the user again, which finishes it or says what is undecided",
    )
}

/// An entry that nobody can log in with.
pub fn unusable(account: &AccountId, problem: &str) -> ProvisioningError {
    conflict(
        format!("{} holds no usable secret: {problem}", account.path),
        "fix the entry by hand, or remove it and provision the user again",
    )
}

/// An entry that changes whenever it is to be written.
pub fn contended(account: &AccountId) -> ProvisioningError {
    conflict(
        format!("{} is being written again and again by others", account.path),
        "find out who else writes there, and try again",
    )
}

/// No entry.
pub fn missing(account: &AccountId) -> ProvisioningError {
    let path = &account.path;
    let message = format!("Vault holds no secret of {} at {path}", account.user_id);
    ProvisioningError { status: Some(404), ..ProvisioningError::new(ErrorKind::Vault, message) }
        .advise("provision the user first, or check vault_path_root")
}

/// An account that may be ours.
pub fn undecided(account: &AccountId, why: &str) -> ProvisioningError {
    let path = &account.path;
    ProvisioningError::new(
        ErrorKind::Undecided,
        format!(
            "{} was left half-made, and nothing proves that the account on the homeserver is the \
             one that was begun: {why}",
            account.user_id
        ),
    )
    .advise(format!(
        "look at the account: if it is yours, call again with adopt; if it is another's, remove \
         what was begun (`vault kv metadata delete {path}`) and choose another id"
    ))
}

/// A time of the homeserver's, in seconds since 1970, as of RFC 3339.
pub fn shown_time(seconds: u64) -> String {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        // Later years have no form there.
        .filter(|_| seconds < 253_402_300_800)
        .map_or_else(|| seconds.to_string(), |at| humantime::format_rfc3339_seconds(at).to_string())
}

fn conflict(message: String, advice: &str) -> ProvisioningError {
    ProvisioningError::new(ErrorKind::Conflict, message).advise(advice)
}
