//! Takes an account's secret away, and its sessions.

use secrecy::ExposeSecret;

use super::account::account_entry::Record;
use super::error::ProvisioningError;
use super::login::{Freshness, LoginOptions};
use super::patience::Patience;
use super::provisioner::{Account, Provisioner};
use crate::homeserver::{AccessToken, Session, VaultStage};
use crate::token_hash::token_hash;

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

/// What ends the sessions when there is no admin token: one of them.
struct OwnSession {
    session: Session,
    token_hash: String,
}

impl Provisioner {
    /// Removes the entry with all its versions, logs all sessions out, and deactivates the account
    /// if that is wanted.
    ///
    /// With an admin token the entry goes last, so that a call that died can be repeated; an account
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
        let account = self.account(user_id)?;
        let patience = self.patience();
        let newest = self.read(&patience, &account).await?;
        let secret_removed = newest.fields.is_some();
        let record = Record::of(newest);
        let mut revoked = RevokedUser {
            matrix_user_id: account.user_id.to_string(),
            secret_removed,
            sessions_ended: false,
            deactivated: false,
            warnings: Vec::new(),
        };
        if let Some(admin_token) = self.admin_token().await? {
            // For good, so only an account that is ours: a slip of the id, or an account of others
            // that Vault merely remembers a try of, must not be closed.
            let end = match (deactivate, &record) {
                (true, Record::Entry(_)) => RevocationScope::Account,
                (true, _) => RevocationScope::NothingToDeactivate,
                (false, _) => RevocationScope::Sessions,
            };
            self.end_by_admin(&patience, &account, &admin_token, end, &mut revoked).await?;
            return Ok(revoked);
        }
        match self.own_session(&patience, &account, record, &mut revoked).await? {
            Some(own) => {
                self.end_by_owner(&patience, &account, own, deactivate, &mut revoked).await?;
            }
            None => self.remove(&patience, &account).await?,
        }
        Ok(revoked)
    }

    async fn remove(
        &self,
        patience: &Patience,
        account: &Account<'_>,
    ) -> Result<(), ProvisioningError> {
        let action = format!("remove {}", account.entry.path());
        patience.insist(&action, || account.entry.remove()).await
    }

    async fn end_by_admin(
        &self,
        patience: &Patience,
        account: &Account<'_>,
        token: &AccessToken,
        end: RevocationScope,
        revoked: &mut RevokedUser,
    ) -> Result<(), ProvisioningError> {
        let admin = self.homeserver.admin(token);
        let id = account.user_id.as_str();
        let looking = format!("look {id} up");
        let Some(found) = patience.insist(&looking, || admin.account(id)).await?.value else {
            revoked.warnings.push(format!("the homeserver has no account {id}"));
            return self.remove(patience, account).await;
        };
        revoked.deactivated = found.is_deactivated;
        match end {
            RevocationScope::Account if !found.is_deactivated => {
                patience.insist(&format!("deactivate {id}"), || admin.deactivate(id)).await?;
                revoked.deactivated = true;
            }
            RevocationScope::NothingToDeactivate if !found.is_deactivated => {
                revoked.warnings.push(format!(
                    "{id} was not deactivated: Vault holds no secret at {}",
                    account.entry.path()
                ));
            }
            RevocationScope::Account
            | RevocationScope::NothingToDeactivate
            | RevocationScope::Sessions => {}
        }
        if !revoked.deactivated {
            self.end_devices(patience, token, id).await?;
        }
        self.remove(patience, account).await?;
        if !revoked.deactivated {
            // Somebody may have logged in while the secret was still there.
            self.end_devices(patience, token, id).await?;
        }
        revoked.sessions_ended = true;
        Ok(())
    }

    async fn end_devices(
        &self,
        patience: &Patience,
        token: &AccessToken,
        id: &str,
    ) -> Result<(), ProvisioningError> {
        let admin = self.homeserver.admin(token);
        let action = format!("log the devices of {id} out");
        let devices = patience.insist(&action, || admin.devices(id)).await?;
        if devices.is_empty() {
            return Ok(());
        }
        patience.insist(&action, || admin.delete_devices(id, &devices)).await
    }

    /// Logs in with the secret while it is there.
    async fn own_session(
        &self,
        patience: &Patience,
        account: &Account<'_>,
        record: Record,
        revoked: &mut RevokedUser,
    ) -> Result<Option<OwnSession>, ProvisioningError> {
        let secret = match record.entry(account) {
            Ok(entry) => entry.login_secret,
            Err(error) => {
                revoked.warnings.push(unended(&error));
                return Ok(None);
            }
        };
        let (user_id, options) = (&account.user_id, LoginOptions::default());
        match self.log_in(patience, user_id, &secret, &options, Freshness::Old).await {
            Ok(session) => {
                let token_hash = token_hash(secret.expose_secret(), user_id.as_str());
                Ok(Some(OwnSession { session, token_hash }))
            }
            Err(error) if error.errcode.as_deref() == Some("M_USER_DEACTIVATED") => {
                revoked.sessions_ended = true;
                revoked.deactivated = true;
                Ok(None)
            }
            Err(error) if error.is_refusal() => {
                revoked.warnings.push(unended(&error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn end_by_owner(
        &self,
        patience: &Patience,
        account: &Account<'_>,
        own: OwnSession,
        deactivate: bool,
        revoked: &mut RevokedUser,
    ) -> Result<(), ProvisioningError> {
        let token = &own.session.access_token;
        let result = if deactivate {
            // While Vault has the secret: the homeserver asks for it once more.
            self.deactivate_own(patience, account, &own).await
        } else {
            // Before the sessions end, so that nobody opens another one.
            self.remove(patience, account).await
        };
        if let Err(error) = result {
            self.forget(token).await;
            return Err(error);
        }
        if deactivate {
            self.remove(patience, account).await?;
        } else {
            let action = format!("log the devices of {} out", account.user_id);
            let ending = || self.homeserver.log_out_everywhere(token);
            done_already(patience.insist(&action, ending).await)?;
        }
        revoked.sessions_ended = true;
        revoked.deactivated = deactivate;
        Ok(())
    }

    async fn deactivate_own(
        &self,
        patience: &Patience,
        account: &Account<'_>,
        own: &OwnSession,
    ) -> Result<(), ProvisioningError> {
        let id = account.user_id.as_str();
        let stage = VaultStage { user_id: id, token_hash: &own.token_hash };
        let token = &own.session.access_token;
        let action = format!("deactivate {id}");
        let ending = || self.homeserver.deactivate_own_account(token, &stage);
        done_already(patience.insist(&action, ending).await)
    }
}

/// The token was good a moment ago: if it is dead, a try whose answer got lost has ended it.
fn done_already(result: Result<(), ProvisioningError>) -> Result<(), ProvisioningError> {
    match result {
        Err(error) if error.errcode.as_deref() == Some("M_UNKNOWN_TOKEN") => Ok(()),
        result => result,
    }
}

/// Why sessions go on.
fn unended(error: &ProvisioningError) -> String {
    format!(
        "sessions that are open go on, and the account was not deactivated: {}. \
         An admin access token can end them",
        error.message
    )
}
