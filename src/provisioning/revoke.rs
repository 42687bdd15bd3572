//! Takes an account's secret away, and its sessions.

use super::account::account_entry::Record;
use super::account::sessions::{Freshness, LoginOptions};
use super::error::ProvisioningError;
use super::operation::Operation;
use super::provisioner::Provisioner;
use crate::homeserver::Session;

/// An account that nobody can log in to through Vault any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedUser {
    /// Whose account it is.
    pub matrix_user_id: String,
    /// Whether there was anything in Vault to remove.
    pub secret_removed: bool,
    /// Whether its sessions were ended.
    pub sessions_ended: bool,
    /// Whether the account was deactivated.
    pub deactivated: bool,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// What is to be ended of an account.
#[derive(Clone, Copy)]
enum RevocationScope {
    Sessions,
    Account,
    /// The account was meant, and is not known to be ours.
    NothingToDeactivate,
}

impl Provisioner {
    /// Removes the entry with all its versions, logs all sessions out, and deactivates the account
    /// if that is wanted.
    ///
    /// With an admin token the entry goes last, so that a call that crashed can be repeated; an account
    /// without one is logged out and never deactivated. Without an admin token it takes a login
    /// with the very secret that is removed, and what cannot be done is reported as a warning.
    ///
    /// # Errors
    /// What either server has against it. Doing it again does what is left.
    pub async fn revoke_user(
        &self,
        user_id: &str,
        deactivate: bool,
    ) -> Result<RevokedUser, ProvisioningError> {
        let operation = self.operation(user_id)?;
        let newest = operation.entry.read().await?;
        let mut revoked = RevokedUser {
            matrix_user_id: operation.account.user_id.to_string(),
            secret_removed: newest.fields.is_some(),
            sessions_ended: false,
            deactivated: false,
            warnings: Vec::new(),
        };
        let record = Record::of(newest);
        if operation.accounts.is_administrator() {
            // For good, so only an account that is ours: a slip of the id, or an account of others
            // for which Vault holds an intent, must not be closed.
            let scope = match (deactivate, &record) {
                (true, Record::Entry(_)) => RevocationScope::Account,
                (true, _) => RevocationScope::NothingToDeactivate,
                (false, _) => RevocationScope::Sessions,
            };
            revoke_by_administrator(&operation, scope, &mut revoked).await?;
        } else {
            revoke_by_owner(&operation, record, deactivate, &mut revoked).await?;
        }
        Ok(revoked)
    }
}

async fn revoke_by_administrator(
    operation: &Operation<'_>,
    scope: RevocationScope,
    revoked: &mut RevokedUser,
) -> Result<(), ProvisioningError> {
    let Operation { account, entry, accounts, .. } = operation;
    let id = &account.user_id;
    let Some(found) = accounts.look_up().await?.details else {
        revoked.warnings.push(format!("the homeserver has no account {id}"));
        return entry.remove().await;
    };
    revoked.deactivated = found.is_deactivated;
    match scope {
        RevocationScope::Account if !found.is_deactivated => {
            accounts.deactivate().await?;
            revoked.deactivated = true;
        }
        RevocationScope::NothingToDeactivate if !found.is_deactivated => {
            revoked.warnings.push(format!(
                "{id} was not deactivated: Vault holds no secret at {}",
                account.path
            ));
        }
        RevocationScope::Account
        | RevocationScope::NothingToDeactivate
        | RevocationScope::Sessions => {}
    }
    if !revoked.deactivated {
        accounts.end_sessions().await?;
    }
    entry.remove().await?;
    if !revoked.deactivated {
        // Somebody may have logged in while the secret was still there.
        accounts.end_sessions().await?;
    }
    revoked.sessions_ended = true;
    Ok(())
}

/// Without an administrator it takes a session of the account's own.
async fn revoke_by_owner(
    operation: &Operation<'_>,
    record: Record,
    deactivate: bool,
    revoked: &mut RevokedUser,
) -> Result<(), ProvisioningError> {
    let Operation { account, entry, sessions, .. } = operation;
    let secret = match record.entry(account) {
        Ok(entry) => entry.login_secret,
        Err(error) => {
            revoked.warnings.push(sessions_go_on(&error));
            return entry.remove().await;
        }
    };
    let Session { access_token, .. } =
        match sessions.log_in(&secret, &LoginOptions::default(), Freshness::Old).await {
            Ok(session) => session,
            Err(error) if error.errcode.as_deref() == Some("M_USER_DEACTIVATED") => {
                revoked.sessions_ended = true;
                revoked.deactivated = true;
                return entry.remove().await;
            }
            Err(error) if error.is_refusal() => {
                revoked.warnings.push(sessions_go_on(&error));
                return entry.remove().await;
            }
            Err(error) => return Err(error),
        };
    let result = if deactivate {
        // While Vault has the secret: the homeserver asks for it once more.
        sessions.deactivate(&secret, &access_token).await
    } else {
        // Before the sessions end, so that nobody opens another one.
        entry.remove().await
    };
    if let Err(error) = result {
        sessions.forget(&access_token).await;
        return Err(error);
    }
    if deactivate {
        entry.remove().await?;
    } else {
        sessions.log_out_everywhere(&access_token).await?;
    }
    revoked.sessions_ended = true;
    revoked.deactivated = deactivate;
    Ok(())
}

fn sessions_go_on(error: &ProvisioningError) -> String {
    format!(
        "sessions that are open go on, and the account was not deactivated: {}. \
         An admin access token can end them",
        error.message
    )
}
