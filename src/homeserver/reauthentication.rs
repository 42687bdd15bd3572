//! User-interactive authentication: what is dangerous wants the credentials besides the token.
//!
//! The first request is answered with a session and the stages to choose from, the second brings
//! the credentials:
//! <https://spec.matrix.org/v1.16/client-server-api/#user-interactive-authentication-api>.

use reqwest::StatusCode;
use ruma_client_api::uiaa::UiaaInfo;
use serde::Serialize;

use super::login_credentials::LoginCredentialsBody;
use super::request::Request;
use super::{AccessToken, Homeserver, HomeserverError, LOGIN_TYPE, LoginCredentials};

/// The stage that presents a token hash, as a login does. Has no `Debug`: it opens the account.
#[derive(Clone, Copy)]
pub struct VaultStage<'a> {
    /// The user whose token asks.
    pub user_id: &'a str,
    /// The token hash of that user.
    pub token_hash: &'a str,
}

impl Homeserver {
    /// Closes the account of the user of this token for good. Messages stay.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3accountdeactivate>
    ///
    /// # Errors
    /// [`HomeserverError::Refused`] with 401 `M_UNKNOWN_TOKEN` for a token that is none, with 401
    /// or 403 `M_FORBIDDEN` for a token hash that is not taken; an error that says so where the
    /// homeserver does not take token hashes as credentials; and what kept it from answering.
    pub async fn deactivate_own_account(
        &self,
        token: &AccessToken,
        stage: &VaultStage<'_>,
    ) -> Result<(), HomeserverError> {
        self.reauthenticated(&["account", "deactivate"], &Nothing {}, token, stage).await
    }

    /// Sends a POST below `/_matrix/client/v3` that wants user-interactive authentication.
    ///
    /// The request is ours and not ruma's, which would not wipe the credentials.
    pub(super) async fn reauthenticated(
        &self,
        path: &[&str],
        body: &impl Serialize,
        token: &AccessToken,
        stage: &VaultStage<'_>,
    ) -> Result<(), HomeserverError> {
        let path = [&["_matrix", "client", "v3"], path].concat();
        let request =
            Request::post(&path, &Reauthenticated { body, auth: None })?.with_token(token)?;
        let answer = self.exchange(&request).await?;
        // Synapse may let it pass when the last login is recent enough (`ui_auth.session_timeout`).
        if answer.status.is_success() {
            return Ok(());
        }
        let info = match serde_json::from_slice::<UiaaInfo>(&answer.body) {
            Ok(info) if answer.status == StatusCode::UNAUTHORIZED => info,
            _ => return Err(Self::refused(&request, &answer)),
        };
        let Some(session) = info.session.as_deref().filter(|_| offers_token_hash(&info)) else {
            return Err(HomeserverError::unsent(format!(
                "the homeserver does not take {LOGIN_TYPE} as a credentials for {}; \
                 check that it runs the module",
                request.name()
            )));
        };
        let credentials = LoginCredentials::TokenHash(stage.token_hash).of(stage.user_id);
        let auth = Some(Auth { credentials, session });
        let request = Request::post(&path, &Reauthenticated { body, auth })?
            .with_token(token)?
            .concealing_text(stage.token_hash);
        self.send(&request).await.map(drop)
    }
}

/// Whether the token hash alone is enough.
pub(super) fn offers_token_hash(info: &UiaaInfo) -> bool {
    info.flows.iter().any(|flow| matches!(&*flow.stages, [stage] if stage.as_str() == LOGIN_TYPE))
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Reauthenticated<'a, T> {
    #[serde(flatten)]
    body: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth<'a>>,
}

#[derive(Serialize)]
struct Auth<'a> {
    #[serde(flatten)]
    credentials: LoginCredentialsBody<'a>,
    session: &'a str,
}
