//! Makes an account that logs in through Vault, or finds the one that is there.

use super::account::attributes::Attributes;
use super::account::avatar::Avatar;
use super::error::ProvisioningError;
use super::login::LoginOptions;
use super::operation::{ClaimedAccount, Operation, ProvisionRequest};
use super::provisioner::Provisioner;
use crate::homeserver::{AccessToken, LOGIN_TYPE, Session};

/// Longest external id that is taken, in bytes.
const LONGEST_EXTERNAL_ID: usize = 1024;

/// The account as it is now.
#[derive(Debug)]
pub struct ProvisionedUser {
    /// Its id.
    pub matrix_user_id: String,
    /// A token, if one was wanted.
    pub token: Option<Token>,
    /// Whether it was there before.
    pub already_exists: bool,
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
}

impl From<Session> for Token {
    fn from(session: Session) -> Self {
        Self { access_token: session.access_token, device_id: Some(session.device_id) }
    }
}

impl Provisioner {
    /// Makes an account that logs in through Vault, or finds the one that is there.
    ///
    /// # Errors
    /// A conflict for an account that is somebody else's, the same undecided for one that was left
    /// half-made and may be, and what either server has against it.
    pub async fn provision_user(
        &self,
        request: &ProvisionRequest,
    ) -> Result<ProvisionedUser, ProvisioningError> {
        check_external_id(request)?;
        let account = self.new_account(&request.user_id)?;
        let patience = self.patience();
        let avatar = Avatar::read(&patience, request.avatar.as_deref()).await?;
        let authority = self.authority().await?;
        authority.means()?;
        let has_flow = self.offers(&patience, LOGIN_TYPE).await?;
        let call = Operation { request, account, authority, patience, has_flow };
        let ready = self.claim(&call).await?;
        self.finish(&call, ready, avatar).await
    }

    /// Sets what is wanted of the account, and gets the token.
    async fn finish(
        &self,
        call: &Operation<'_>,
        mut ready: ClaimedAccount,
        avatar: Option<Avatar>,
    ) -> Result<ProvisionedUser, ProvisioningError> {
        let mut warnings = Vec::new();
        let token = self.set_and_log_in(call, &mut ready, avatar, &mut warnings).await;
        // A session that only proved whose the account is, is of no use any more.
        self.end(ready.session).await;
        Ok(ProvisionedUser {
            matrix_user_id: call.account.user_id.to_string(),
            token: token?,
            already_exists: ready.already_exists,
            warnings,
        })
    }

    async fn set_and_log_in(
        &self,
        call: &Operation<'_>,
        ready: &mut ClaimedAccount,
        avatar: Option<Avatar>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Token>, ProvisioningError> {
        let with_token = call.request.with_token;
        let attributes = Attributes::wanted(call, ready, avatar)?;
        if !attributes.need_session() {
            // The token last: what fails before leaves no session that nobody knows.
            self.set(call, None, attributes).await?;
            return if with_token {
                self.token(call, ready, warnings).await.map(Some)
            } else {
                Ok(None)
            };
        }
        let token = self.token(call, ready, warnings).await?;
        let result = self.set(call, Some(&token.access_token), attributes).await;
        if result.is_ok() && with_token {
            return Ok(Some(token));
        }
        self.forget(&token.access_token).await;
        result.map(|()| None)
    }

    /// A token of the account: by the secret in Vault, or where the homeserver does not have the
    /// module, by what there is.
    async fn token(
        &self,
        call: &Operation<'_>,
        ready: &mut ClaimedAccount,
        warnings: &mut Vec<String>,
    ) -> Result<Token, ProvisioningError> {
        let Operation { account, authority, patience, .. } = call;
        let user_id = &account.user_id;
        let without = format!("the homeserver does not offer logins of type {LOGIN_TYPE}");
        match (call.has_flow, ready.session.take(), &authority.admin_token) {
            (false, Some(session), _) => {
                warnings.push(format!("{without}: the token is that of the registration"));
                Ok((*session).into())
            }
            (false, None, Some(admin_token)) => {
                let admin = self.homeserver.admin(admin_token);
                let access_token = patience
                    .insist(&format!("log {user_id} in"), || admin.log_in_as(user_id.as_str()))
                    .await?;
                warnings.push(format!(
                    "{without}: the token is an administrator's for the user, \
                     which ends by being logged out alone"
                ));
                Ok(Token { access_token, device_id: None })
            }
            (_, session, _) => {
                ready.session = session;
                let options = LoginOptions::default();
                self.log_in(patience, user_id, &ready.login_secret, &options, ready.freshness)
                    .await
                    .map(Token::from)
            }
        }
    }
}

fn check_external_id(request: &ProvisionRequest) -> Result<(), ProvisioningError> {
    let Some(external_id) = &request.external_id else { return Ok(()) };
    if external_id.is_empty() || external_id.len() > LONGEST_EXTERNAL_ID {
        let message = format!("must have from 1 to {LONGEST_EXTERNAL_ID} bytes, or be left out");
        return Err(ProvisioningError::of_key("external_id", message));
    }
    Ok(())
}
