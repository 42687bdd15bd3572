//! Sessions: logging in and out.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::login_credentials::LoginCredentialsBody;
use super::request::Request;
use super::{AccessToken, Homeserver, HomeserverError, LoginCredentials, LoginEndpoint};

/// A login.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The whole user id, as it was when the credentials were made.
    pub user_id: &'a str,
    /// What proves to be that user.
    pub credentials: LoginCredentials<'a>,
    /// The device to log in. Synapse lets a session that it has already go on beside the new one.
    pub device_id: &'a str,
    /// What the device is called, if it is new.
    pub device_name: Option<&'a str>,
}

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose it is, as the homeserver writes the id.
    pub user_id: String,
    /// What it is known by from now on.
    pub access_token: AccessToken,
    /// The device it is for.
    pub device_id: String,
    /// The name of the homeserver, from the user id.
    pub home_server: String,
    /// How long the token works; `None` if it has no end.
    pub expires_in: Option<Duration>,
}

impl Homeserver {
    /// Opens a session.
    ///
    /// The types are ours and not ruma's, which would not wipe the credentials, and which would
    /// throw the new session away over a field that nobody asked for.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3login>
    ///
    /// # Errors
    /// [`HomeserverError::Refused`] with 403 `M_FORBIDDEN` for credentials that are not taken, 429
    /// with a time to wait for one login too many, and what kept the homeserver from answering.
    pub async fn log_in(&self, login: &Login<'_>) -> Result<Session, HomeserverError> {
        self.log_in_at(LoginEndpoint::Homeserver, login).await
    }

    /// The same where logins are served.
    ///
    /// # Errors
    /// As for [`Self::log_in`].
    pub async fn log_in_at(
        &self,
        endpoint: LoginEndpoint,
        login: &Login<'_>,
    ) -> Result<Session, HomeserverError> {
        let body = LoginBody::of(login);
        let request = Request::post(&endpoint.path(&["login"]), &body)?
            .concealing_text(login.credentials.secret());
        let opened: Opened = self.fetch(&request).await?;
        opened.into_session().ok_or_else(|| self.not_of_matrix(&request))
    }

    /// Ends the session of this token, with its device.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3logout>
    ///
    /// # Errors
    /// 401 `M_UNKNOWN_TOKEN` if there is none, and what kept the homeserver from answering.
    pub async fn log_out(&self, token: &AccessToken) -> Result<(), HomeserverError> {
        self.log_out_at(LoginEndpoint::Homeserver, token).await
    }

    /// The same where logouts are served.
    ///
    /// # Errors
    /// As for [`Self::log_out`].
    pub async fn log_out_at(
        &self,
        endpoint: LoginEndpoint,
        token: &AccessToken,
    ) -> Result<(), HomeserverError> {
        self.end(&endpoint.path(&["logout"]), token).await
    }

    /// Ends all sessions of the user of this token, with their devices. The module ends those that
    /// were opened there.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3logoutall>
    ///
    /// # Errors
    /// As for [`Self::log_out`].
    pub async fn log_out_everywhere_at(
        &self,
        endpoint: LoginEndpoint,
        token: &AccessToken,
    ) -> Result<(), HomeserverError> {
        self.end(&endpoint.path(&["logout", "all"]), token).await
    }

    async fn end(&self, path: &[&str], token: &AccessToken) -> Result<(), HomeserverError> {
        let request = Request::post(path, &json!({}))?.with_token(token)?;
        self.fetch::<Map<String, Value>>(&request).await.map(drop)
    }
}

#[derive(Serialize)]
struct LoginBody<'a> {
    #[serde(flatten)]
    credentials: LoginCredentialsBody<'a>,
    device_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_device_display_name: Option<&'a str>,
}

impl<'a> LoginBody<'a> {
    fn of(login: &Login<'a>) -> Self {
        Self {
            credentials: login.credentials.of(login.user_id),
            device_id: login.device_id,
            initial_device_display_name: login.device_name,
        }
    }
}

/// What is answered to a login, and to a registration, which may leave the session out.
#[derive(Deserialize)]
pub struct Opened {
    /// Whose account it is.
    pub user_id: String,
    access_token: Option<SecretString>,
    device_id: Option<String>,
    #[serde(default)]
    expires_in_ms: Value,
}

/// A time; one that is over is no time at all.
fn milliseconds(value: &Value) -> Option<Duration> {
    let is_over = || value.as_f64().is_some_and(|time| time < 0.0);
    value.as_u64().map(Duration::from_millis).or_else(|| is_over().then_some(Duration::ZERO))
}

impl Opened {
    /// The session, if there is a whole one.
    pub fn into_session(self) -> Option<Session> {
        let (_, home_server) = self.user_id.split_once(':')?;
        Some(Session {
            access_token: AccessToken::parse(&self.access_token?).ok()?,
            device_id: self.device_id?,
            home_server: home_server.to_owned(),
            expires_in: milliseconds(&self.expires_in_ms),
            user_id: self.user_id,
        })
    }

    /// Whether there is a token, of whatever form.
    pub fn has_token(&self) -> bool {
        self.access_token.is_some()
    }
}
