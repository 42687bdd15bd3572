//! Sessions of an account: opened with the secret that Vault holds, and ended.

use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

use super::super::error::{ErrorKind, ProvisioningError};
use super::remote_account::RemoteAccount;
use crate::homeserver::{AccessToken, LOGIN_TYPE, Login, LoginCredentials, Session, VaultStage};
use crate::random::new_device_id;
use crate::retry::Deadline;
use crate::sync::Mutex;
use crate::token_hash::token_hash;

/// The login type of passwords.
const PASSWORD: &str = "m.login.password";

/// How long the login types that a homeserver offers are remembered.
const LOGIN_TYPES_LIFETIME: Duration = Duration::from_secs(60);

/// How often a login is tried whose secret was written just before: the module may have asked a
/// node of Vault that did not have it yet.
const ATTEMPTS_AFTER_WRITE: u32 = 3;
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

/// Whether a secret was written just before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may not have reached every node of Vault.
    New,
    /// It has been there for a while.
    Old,
}

/// How a login with a password ended.
pub enum PasswordLogin {
    /// The homeserver accepts the password.
    LoggedIn(Box<Session>),
    /// It does not.
    Refused,
    /// It accepts no passwords at all.
    NotOffered,
}

/// The login types that the homeserver offered lately.
#[derive(Default)]
pub struct LoginTypes(Mutex<Option<(Instant, Vec<String>)>>);

/// The sessions of one account.
pub struct Sessions<'a> {
    account: RemoteAccount<'a>,
    login_types: &'a LoginTypes,
}

impl LoginTypes {
    /// Whether a type was offered; `None` if it is too long ago that the homeserver was asked.
    fn recall(&self, login_type: &str) -> Option<bool> {
        self.0
            .lock()
            .as_ref()
            .filter(|(asked, _)| asked.elapsed() < LOGIN_TYPES_LIFETIME)
            .map(|(_, types)| types.iter().any(|offered| offered == login_type))
    }
}

impl<'a> Sessions<'a> {
    /// The sessions of an account.
    pub fn new(account: RemoteAccount<'a>, login_types: &'a LoginTypes) -> Self {
        Self { account, login_types }
    }

    /// Whether the homeserver offers a login type. What it said lately is not asked again.
    pub async fn offers(&self, login_type: &str) -> Result<bool, ProvisioningError> {
        if let Some(is_offered) = self.login_types.recall(login_type) {
            return Ok(is_offered);
        }
        let homeserver = self.account.homeserver;
        let types = self
            .account
            .retry("ask the homeserver for its login types", || homeserver.login_types())
            .await?;
        let is_offered = types.iter().any(|offered| offered == login_type);
        *self.login_types.0.lock() = Some((Instant::now(), types));
        Ok(is_offered)
    }

    /// Whether a session can get a token that opens another one a while later.
    pub async fn give_login_tokens(&self) -> Result<bool, ProvisioningError> {
        let homeserver = self.account.homeserver;
        self.account
            .retry("ask the homeserver for its login types", || homeserver.gives_login_tokens())
            .await
    }

    /// The same sessions, with less time for what is done with them.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        let deadline = Deadline::after(limit.min(self.account.deadline.left()));
        let account = RemoteAccount { deadline, ..self.account.clone() };
        Self { account, login_types: self.login_types }
    }

    /// Logs in with a secret.
    pub async fn log_in(
        &self,
        secret: &SecretString,
        options: &LoginOptions,
        freshness: Freshness,
    ) -> Result<Session, ProvisioningError> {
        let user_id = &self.account.user_id;
        if !self.offers(LOGIN_TYPE).await? {
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
        let mut attempts = 1;
        loop {
            let homeserver = self.account.homeserver;
            let result = self.account.retry(&action, || homeserver.log_in(&login)).await;
            match result {
                Err(error) if error.errcode.as_deref() == Some("M_FORBIDDEN") => {
                    if freshness == Freshness::Old || attempts == ATTEMPTS_AFTER_WRITE {
                        return Err(error.advise(
                            "the module does not take the secret that Vault gives us: does it \
                             read the same Vault, mount and path? `synapse-vault doctor` helps, \
                             and the homeserver's log says why",
                        ));
                    }
                    attempts += 1;
                    tokio::time::sleep(WAIT_AFTER_WRITE.min(self.account.deadline.left())).await;
                }
                result => return result.map_err(advise_out_of_use),
            }
        }
    }

    /// Tries a password.
    pub async fn try_password(
        &self,
        password: &SecretString,
    ) -> Result<PasswordLogin, ProvisioningError> {
        if !self.offers(PASSWORD).await? {
            return Ok(PasswordLogin::NotOffered);
        }
        let device_id = new_device_id()?;
        let login = Login {
            user_id: self.account.id(),
            credentials: LoginCredentials::Password(password),
            device_id: &device_id,
            device_name: None,
        };
        let action = format!("try the password of {}", self.account.id());
        let homeserver = self.account.homeserver;
        match self.account.retry(&action, || homeserver.log_in(&login)).await {
            Ok(session) => Ok(PasswordLogin::LoggedIn(Box::new(session))),
            Err(error) if error.errcode.as_deref() == Some("M_FORBIDDEN") => {
                Ok(PasswordLogin::Refused)
            }
            Err(error) => Err(error),
        }
    }

    /// Logs out all devices but that of `session`, which was opened with `secret`.
    pub async fn log_out_others(
        &self,
        secret: &SecretString,
        session: &Session,
    ) -> Result<(), ProvisioningError> {
        let user_id = &self.account.user_id;
        let action = format!("log the other devices of {user_id} out");
        let (homeserver, token) = (self.account.homeserver, &session.access_token);
        let mut others = self.account.retry(&action, || homeserver.devices(token)).await?;
        others.retain(|device| *device != session.device_id);
        if others.is_empty() {
            return Ok(());
        }
        let hash = token_hash(secret.expose_secret(), user_id.as_str());
        let stage = VaultStage { user_id: user_id.as_str(), token_hash: &hash };
        let delete = || homeserver.delete_devices(token, &others, &stage);
        self.account.retry(&action, delete).await
    }

    /// Logs out all devices, that of this token too.
    pub async fn log_out_everywhere(&self, token: &AccessToken) -> Result<(), ProvisioningError> {
        let action = format!("log the devices of {} out", self.account.user_id);
        let homeserver = self.account.homeserver;
        let result = self.account.retry(&action, || homeserver.log_out_everywhere(token)).await;
        ignore_dead_token(result)
    }

    /// Closes the account for good, with a session that was opened with `secret`.
    pub async fn deactivate(
        &self,
        secret: &SecretString,
        token: &AccessToken,
    ) -> Result<(), ProvisioningError> {
        let id = self.account.id();
        let hash = token_hash(secret.expose_secret(), id);
        let stage = VaultStage { user_id: id, token_hash: &hash };
        let homeserver = self.account.homeserver;
        let deactivate = || homeserver.deactivate_own_account(token, &stage);
        ignore_dead_token(self.account.retry(&format!("deactivate {id}"), deactivate).await)
    }

    /// Ends a session that nobody needs.
    pub async fn end(&self, session: Option<Box<Session>>) {
        if let Some(session) = session {
            self.forget(&session.access_token).await;
        }
    }

    /// Logs a token out that nobody needs. Nothing depends on whether that succeeds.
    pub async fn forget(&self, token: &AccessToken) {
        self.account.forget(token).await;
    }
}

/// What to do about an account that nobody may use.
fn advise_out_of_use(error: ProvisioningError) -> ProvisioningError {
    match error.errcode.as_deref() {
        Some("M_USER_DEACTIVATED") => {
            error.advise("reactivate the account over the admin API, or use another one")
        }
        Some("M_USER_LOCKED") => error.advise("unlock the account over the admin API"),
        _ => error,
    }
}

/// Takes a dead token for success: it was alive a moment ago, so a request whose answer got lost
/// has ended it.
pub fn ignore_dead_token(result: Result<(), ProvisioningError>) -> Result<(), ProvisioningError> {
    match result {
        Err(error) if error.errcode.as_deref() == Some("M_UNKNOWN_TOKEN") => Ok(()),
        result => result,
    }
}
