//! Logs in with the secret that Vault holds.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::account::account_entry::Record;
use super::error::{ErrorKind, ProvisioningError};
use super::patience::Patience;
use super::provisioner::{Account, Provisioner};
use crate::homeserver::{AccessToken, LOGIN_TYPE, Login, LoginCredentials, Session, VaultStage};
use crate::random::new_device_id;
use crate::token_hash::token_hash;
use crate::user_id::UserId;

/// How often a login is tried whose secret was written just before: the module may have asked a
/// node of Vault's that had not got it yet.
const TRIES_AFTER_WRITE: u32 = 3;
const WAIT_AFTER_WRITE: Duration = Duration::from_millis(500);

/// How to log in.
#[derive(Clone, Debug, Default)]
pub struct LoginOptions {
    /// The device to log in; a new one by default.
    pub device_id: Option<String>,
    /// What others see the device called.
    pub device_name: Option<String>,
    /// Whether all other devices are logged out.
    pub logout_others: bool,
}

impl Provisioner {
    /// Logs an account in with the secret that Vault holds for it.
    ///
    /// # Errors
    /// When Vault holds none, or the homeserver refuses it.
    pub async fn login(
        &self,
        user_id: &str,
        options: &LoginOptions,
    ) -> Result<Session, ProvisioningError> {
        let account = self.account(user_id)?;
        let patience = self.patience();
        let secret = self.secret_of(&patience, &account).await?;
        let session =
            self.log_in(&patience, &account.user_id, &secret, options, Freshness::Old).await?;
        if options.logout_others {
            let result = self.log_out_others(&patience, &account.user_id, &secret, &session).await;
            if let Err(error) = result {
                self.forget(&session.access_token).await;
                return Err(error);
            }
        }
        Ok(session)
    }

    /// Logs a device out.
    ///
    /// # Errors
    /// When the homeserver refuses, other than for a token that is dead already.
    pub async fn logout(&self, access_token: &SecretString) -> Result<(), ProvisioningError> {
        let token = access_token_given(access_token)?;
        let result = self.patience().insist("log out", || self.homeserver.log_out(&token)).await;
        match result {
            Err(error) if error.errcode.as_deref() == Some("M_UNKNOWN_TOKEN") => Ok(()),
            result => result,
        }
    }

    /// The secret of an account that has one.
    pub(super) async fn secret_of(
        &self,
        patience: &Patience,
        account: &Account<'_>,
    ) -> Result<SecretString, ProvisioningError> {
        let newest = self.read(patience, account).await?;
        Ok(Record::of(newest).entry(account)?.login_secret)
    }

    /// Logs in with a secret.
    pub(super) async fn log_in(
        &self,
        patience: &Patience,
        user_id: &UserId,
        secret: &SecretString,
        options: &LoginOptions,
        freshness: Freshness,
    ) -> Result<Session, ProvisioningError> {
        if !self.offers(patience, LOGIN_TYPE).await? {
            return Err(ProvisioningError::new(
                ErrorKind::Homeserver,
                format!(
                    "cannot log {user_id} in: the homeserver does not offer logins of type \
                     {LOGIN_TYPE}"
                ),
            )
            .advise("install the module in the homeserver; `synapse-vault doctor` helps"));
        }
        let device_id = match &options.device_id {
            Some(device_id) => device_id.clone(),
            None => new_device_id()?,
        };
        let hash = token_hash(secret.expose_secret(), user_id.as_str());
        let login = Login {
            user_id: user_id.as_str(),
            credentials: LoginCredentials::TokenHash(&hash),
            device_id: &device_id,
            device_name: options.device_name.as_deref(),
        };
        let action = format!("log {user_id} in");
        let mut tries = 1;
        loop {
            let result = patience.insist(&action, || self.homeserver.log_in(&login)).await;
            match result {
                Err(error) if error.errcode.as_deref() == Some("M_FORBIDDEN") => {
                    if freshness == Freshness::Old || tries == TRIES_AFTER_WRITE {
                        return Err(error.advise(
                            "the module does not take the secret that Vault gives us: does it \
                             read the same Vault, mount and path? `synapse-vault doctor` helps, \
                             and the homeserver's log says why",
                        ));
                    }
                    tries += 1;
                    tokio::time::sleep(WAIT_AFTER_WRITE.min(patience.left())).await;
                }
                result => return result.map_err(out_of_use),
            }
        }
    }

    /// Logs all devices out but the one of `session`.
    async fn log_out_others(
        &self,
        patience: &Patience,
        user_id: &UserId,
        secret: &SecretString,
        session: &Session,
    ) -> Result<(), ProvisioningError> {
        let action = format!("log the other devices of {user_id} out");
        let token = &session.access_token;
        let mut others = patience.insist(&action, || self.homeserver.devices(token)).await?;
        others.retain(|device| *device != session.device_id);
        if others.is_empty() {
            return Ok(());
        }
        if let Some(admin_token) = self.admin_token().await? {
            let admin = self.homeserver.admin(&admin_token);
            return patience
                .insist(&action, || admin.delete_devices(user_id.as_str(), &others))
                .await;
        }
        let hash = token_hash(secret.expose_secret(), user_id.as_str());
        let stage = VaultStage { user_id: user_id.as_str(), token_hash: &hash };
        patience.insist(&action, || self.homeserver.delete_devices(token, &others, &stage)).await
    }
}

/// What to do about an account that nobody may use.
fn out_of_use(error: ProvisioningError) -> ProvisioningError {
    match error.errcode.as_deref() {
        Some("M_USER_DEACTIVATED") => {
            error.advise("reactivate the account over the admin API, or use another one")
        }
        Some("M_USER_LOCKED") => error.advise("unlock the account over the admin API"),
        _ => error,
    }
}

/// An access token that a caller gave.
pub fn access_token_given(token: &SecretString) -> Result<AccessToken, ProvisioningError> {
    AccessToken::parse(token).map_err(|error| ProvisioningError::of_key("access_token", error))
}

/// Whether a secret was written just before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may not have reached every node of Vault's.
    New,
    /// It has been there for a while.
    Old,
}
