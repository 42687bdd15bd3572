//! Creates an account that logs in through Vault, or finds the one that is there.

use std::time::Duration;

use super::account::attributes::Attributes;
use super::account::avatar::Avatar;
use super::account::claim::{Claim, ClaimedAccount};
use super::account::provision_request::ProvisionRequest;
use super::account::sessions::LoginOptions;
use super::authority::SetOutcome;
use super::error::ProvisioningError;
use super::operation::Operation;
use super::provisioner::Provisioner;
use crate::homeserver::{AccessToken, LOGIN_TYPE, Session};

/// The account as it is now.
#[derive(Debug)]
pub struct ProvisionedUser {
    /// Its id.
    pub matrix_user_id: String,
    /// A token, if one was wanted.
    pub token: Option<Token>,
    /// Whether it was there before.
    pub already_exists: bool,
    /// Until when it may replace its cross-signing keys, as of RFC 3339, if that was wanted.
    pub cross_signing_reset_until: Option<String>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// What its user's requests are sent with.
#[derive(Debug)]
pub struct Token {
    /// The access token.
    pub access_token: AccessToken,
    /// The device it belongs to; `None` for an administrator's token for the user.
    pub device_id: Option<String>,
    /// How long it works; `None` if it has no end.
    pub expires_in: Option<Duration>,
}

impl From<Session> for Token {
    fn from(session: Session) -> Self {
        let Session { access_token, device_id, expires_in, .. } = session;
        Self { access_token, device_id: Some(device_id), expires_in }
    }
}

impl Provisioner {
    /// Creates an account that logs in through Vault, or finds the one that is there.
    ///
    /// # Errors
    /// A conflict for an account that is somebody else's, the same undecided for one that was left
    /// half-made and may be, and what either server has against it.
    pub async fn provision_user(
        &self,
        request: &ProvisionRequest,
    ) -> Result<ProvisionedUser, ProvisioningError> {
        request.check()?;
        if let Some(engine) = self.secrets_engine() {
            return self.provision_in(&engine, request).await;
        }
        let operation = self.operation_for_new(&request.user_id)?;
        let avatar = Avatar::read(operation.remote.deadline, request.avatar.as_deref()).await?;
        operation.check_creation(request).await?;
        let reset = self.cross_signing_reset(request, operation.remote.deadline).await?;
        let has_flow = operation.sessions.offers(LOGIN_TYPE).await?;
        let mut claimed = {
            let Operation { account, entry, accounts, sessions, .. } = &operation;
            let _lock = self.account_locks.lock(&account.user_id).await;
            let with_session = request.with_token && !has_flow;
            Claim::new(account, entry, accounts, sessions, request, with_session).run().await?
        };
        let warnings = std::mem::take(&mut claimed.warnings);
        let allowed = match &reset {
            Some(reset) => reset.allow(&operation).await.map(Some),
            None => Ok(None),
        };
        let mut completion = Completion { operation, request, has_flow, claimed, warnings };
        let result = match allowed {
            Ok(until) => completion.set_and_log_in(avatar).await.map(|token| (token, until)),
            Err(error) => Err(error),
        };
        // A session that only proved whose the account is, is of no use any more.
        let Completion { operation, claimed, warnings, .. } = completion;
        operation.sessions.end(claimed.session).await;
        let (token, cross_signing_reset_until) = result?;
        Ok(ProvisionedUser {
            matrix_user_id: operation.account.user_id.to_string(),
            token,
            cross_signing_reset_until,
            already_exists: claimed.already_exists,
            warnings,
        })
    }
}

/// What is left to do once an account is ours.
struct Completion<'a> {
    operation: Operation<'a>,
    request: &'a ProvisionRequest,
    /// Whether the homeserver has the module.
    has_flow: bool,
    claimed: ClaimedAccount,
    warnings: Vec<String>,
}

impl Completion<'_> {
    /// Sets what is wanted of the account, and gets the token.
    async fn set_and_log_in(
        &mut self,
        avatar: Option<Avatar>,
    ) -> Result<Option<Token>, ProvisioningError> {
        let with_token = self.request.with_token;
        let accounts = &self.operation.accounts;
        let wanted = Attributes::wanted(self.request, &self.claimed.profile, avatar);
        let mut attributes = accounts.left_to_set(wanted, self.claimed.created_as.as_ref())?;
        if let SetOutcome::Set(_) = accounts.set(&mut attributes).await? {
            // The token last: what fails before leaves no session that nobody knows.
            return if with_token { self.token().await.map(Some) } else { Ok(None) };
        }
        let token = self.token().await?;
        let result = attributes.set_by_owner(&self.operation.remote, &token.access_token).await;
        if result.is_ok() && with_token {
            return Ok(Some(token));
        }
        self.operation.sessions.forget(&token.access_token).await;
        result.map(|_| None)
    }

    /// A token of the account: by the secret in Vault, or where the homeserver does not have the
    /// module, by what there is.
    async fn token(&mut self) -> Result<Token, ProvisioningError> {
        if !self.has_flow {
            let without = format!("the homeserver does not offer logins of type {LOGIN_TYPE}");
            if let Some(session) = self.claimed.session.take() {
                self.warnings.push(format!("{without}: the token is that of the registration"));
                return Ok((*session).into());
            }
            if let Some(access_token) = self.operation.accounts.token().await? {
                self.warnings.push(format!(
                    "{without}: the token is an administrator's for the user, \
                     which ends by being logged out alone"
                ));
                return Ok(Token { access_token, device_id: None, expires_in: None });
            }
            if self.operation.accounts.is_mas() {
                self.warnings.push(format!(
                    "{without}: Matrix Authentication Service has opened the token's session, \
                     without a look at the secret"
                ));
            }
        }
        let ClaimedAccount { login_secret, freshness, .. } = &self.claimed;
        let options = LoginOptions::default();
        self.operation.sessions.log_in(login_secret, &options, *freshness).await.map(Token::from)
    }
}
