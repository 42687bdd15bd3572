//! Sessions of an account: opened with the secret that Vault holds, and ended.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::super::error::{ErrorKind, ProvisioningError};
use super::super::mas_access::needs_mas_client;
use super::log_out::{LogOut, ignore_dead_token};
pub use super::login_options::LoginOptions;
use super::login_service::LoginService;
use super::mas_account::MasAccount;
use super::remote_account::RemoteAccount;
use crate::homeserver::{
    AccessToken, AuthMetadata, LOGIN_TYPE, Login, LoginCredentials, LoginEndpoint, Session,
    VaultStage,
};
use crate::random::new_device_id;
use crate::retry::Deadline;
use crate::token_hash::token_hash;

/// The login type of passwords.
const PASSWORD: &str = "m.login.password";

/// How long it may take to end a session that nobody needs, whatever time its verb has left.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// How often a login is tried whose secret was written just before: the module may have asked a
/// node of Vault that did not have it yet.
const ATTEMPTS_AFTER_WRITE: u32 = 3;
const WAIT_AFTER_WRITE: Duration = Duration::from_millis(500);

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

/// The sessions of one account.
pub struct Sessions<'a> {
    account: RemoteAccount<'a>,
    service: &'a LoginService,
    mas: Option<MasAccount<'a>>,
}

impl<'a> Sessions<'a> {
    /// The sessions of an account; with what can open and end them at Matrix Authentication Service
    /// (MAS).
    pub fn new(
        account: RemoteAccount<'a>,
        service: &'a LoginService,
        mas: Option<MasAccount<'a>>,
    ) -> Self {
        Self { account, service, mas }
    }

    /// What is known of MAS, where that signs users in.
    pub async fn mas_metadata(&self) -> Result<Option<AuthMetadata>, ProvisioningError> {
        self.service.mas(self.account.homeserver, self.account.deadline).await
    }

    /// The same, asked once and not for long.
    pub async fn mas_metadata_if_answered(&self) -> Option<AuthMetadata> {
        self.service.mas_if_answered(self.account.homeserver).await
    }

    /// The account at MAS, where that signs users in; `None` where the homeserver does.
    ///
    /// # Errors
    /// When there is no client that may use MAS' admin API, which `what` needs.
    pub async fn at_mas(&self, what: &str) -> Result<Option<&MasAccount<'a>>, ProvisioningError> {
        match (self.mas_metadata().await?, &self.mas) {
            (None, _) => Ok(None),
            (Some(_), Some(mas)) => Ok(Some(mas)),
            (Some(metadata), None) => Err(needs_mas_client(&metadata, what)),
        }
    }

    /// Whether the homeserver serves logins of a type. What it said lately is not asked again.
    pub async fn offers(&self, login_type: &str) -> Result<bool, ProvisioningError> {
        self.service.offers(self.account.homeserver, self.account.deadline, login_type).await
    }

    /// Whether a session can get a token that opens another one a while later.
    pub async fn give_login_tokens(&self) -> Result<bool, ProvisioningError> {
        // Those tokens are Synapse's own.
        if self.mas_metadata().await?.is_some() {
            return Ok(false);
        }
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
        let mas = self.mas.as_ref().map(|mas| mas.until(deadline));
        Self { account, service: self.service, mas }
    }

    /// Logs in with a secret.
    pub async fn log_in(
        &self,
        secret: &SecretString,
        options: &LoginOptions,
        freshness: Freshness,
    ) -> Result<Session, ProvisioningError> {
        let user_id = &self.account.user_id;
        let endpoint = self.endpoint().await?;
        if !self.offers(LOGIN_TYPE).await? {
            return match (endpoint, &self.mas) {
                (LoginEndpoint::Module, Some(mas)) => mas.open_session(options).await,
                (LoginEndpoint::Module, None) => Err(self.not_served()),
                (LoginEndpoint::Homeserver, _) => Err(self.not_offered()),
            }
            .map_err(|error| advise_out_of_use(error, endpoint));
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
            let open = || homeserver.log_in_at(endpoint, &login);
            match self.account.retry(&action, open).await {
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
                result => {
                    return result.map_err(|error| advise_out_of_use(error, endpoint));
                }
            }
        }
    }

    /// Tries a password.
    pub async fn try_password(
        &self,
        password: &SecretString,
    ) -> Result<PasswordLogin, ProvisioningError> {
        // Those at MAS are no proof: they may have been set there.
        if self.mas_metadata().await?.is_some() || !self.offers(PASSWORD).await? {
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
        if self.mas_metadata().await?.is_some() {
            let Some(mas) = &self.mas else { return self.check_log_out_others().await };
            return mas.end_sessions(&mas.existing().await?, Some(&session.device_id)).await;
        }
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

    /// Makes sure that other devices can be logged out, before there is a session to do it with.
    pub async fn check_log_out_others(&self) -> Result<(), ProvisioningError> {
        match self.mas_metadata().await? {
            Some(metadata) if self.mas.is_none() => {
                Err(needs_mas_client(&metadata, "to end other sessions"))
            }
            _ => Ok(()),
        }
    }

    /// Logs out all devices, that of this token too. Where MAS signs users in, those are the
    /// sessions that the module has opened.
    pub async fn log_out_everywhere(&self, token: &AccessToken) -> Result<(), ProvisioningError> {
        let action = format!("log the devices of {} out", self.account.user_id);
        let (homeserver, endpoint) = (self.account.homeserver, self.endpoint().await?);
        let log_out = || homeserver.log_out_everywhere_at(endpoint, token);
        ignore_dead_token(self.account.retry(&action, log_out).await)
    }

    /// Closes the account for good, with a session that was opened with `secret`. Not where MAS
    /// signs users in, which would not learn of it.
    pub async fn deactivate(
        &self,
        secret: &SecretString,
        token: &AccessToken,
    ) -> Result<(), ProvisioningError> {
        let id = self.account.id();
        if let Some(metadata) = self.mas_metadata().await? {
            return Err(needs_mas_client(&metadata, "to deactivate accounts"));
        }
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
        let log_out = LogOut {
            homeserver: self.account.homeserver,
            service: self.service,
            mas: self.mas.as_ref().map(|mas| mas.access),
        };
        let _ = log_out.log_out(token, Deadline::after(LOGOUT_LIMIT)).await;
    }

    async fn endpoint(&self) -> Result<LoginEndpoint, ProvisioningError> {
        self.service.endpoint(self.account.homeserver, self.account.deadline).await
    }

    fn not_offered(&self) -> ProvisioningError {
        let message = format!(
            "cannot log {} in: the homeserver does not offer logins of type {LOGIN_TYPE}",
            self.account.user_id
        );
        ProvisioningError::new(ErrorKind::Homeserver, message)
            .advise("install the module in the homeserver; `synapse-vault doctor` helps")
    }

    /// The module serves logins itself, where MAS signs users in.
    fn not_served(&self) -> ProvisioningError {
        let message = format!(
            "cannot log {} in: Matrix Authentication Service signs this homeserver's users in, and \
             the module serves no logins of type {LOGIN_TYPE} beside it",
            self.account.user_id
        );
        ProvisioningError::new(ErrorKind::Homeserver, message).advise(
            "set mas in the module's configuration; or give mas_admin_api, mas_client_id and \
             mas_client_secret_file for a session without the module",
        )
    }
}

/// What to do about an account that nobody may use.
fn advise_out_of_use(error: ProvisioningError, endpoint: LoginEndpoint) -> ProvisioningError {
    let place = match endpoint {
        LoginEndpoint::Homeserver => "over the admin API",
        LoginEndpoint::Module => "at Matrix Authentication Service",
    };
    match error.errcode.as_deref() {
        Some("M_USER_DEACTIVATED") => {
            error.advise(format!("reactivate the account {place}, or use another one"))
        }
        Some("M_USER_LOCKED") => error.advise(format!("unlock the account {place}")),
        _ => error,
    }
}
