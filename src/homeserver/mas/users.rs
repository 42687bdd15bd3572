//! Users.
//!
//! API: <https://element-hq.github.io/matrix-authentication-service/api/index.html>, under `user`.

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::request::Request;
use super::resource::{Resource, SingleResponse};
use super::{MasClient, MasError, RequestKind, Timestamp, Ulid};

/// A user of MAS.
#[derive(Clone, Debug)]
pub struct User {
    /// Their id at MAS.
    pub id: Ulid,
    /// The localpart of their Matrix id, as MAS writes it.
    pub username: String,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Whether the account is locked: nobody may use it for now.
    pub is_locked: bool,
    /// Whether the account is closed.
    pub is_deactivated: bool,
    /// Whether the user may ask for the scopes of administrators.
    pub is_admin: bool,
}

/// A user who is to be created.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct NewUser<'a> {
    /// The localpart of their Matrix id.
    pub username: &'a str,
    /// What they are called. MAS before 1.18 ignores it.
    #[serde(rename = "displayname", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<&'a str>,
    /// Their picture, `mxc://…`. MAS before 1.18 ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<&'a str>,
    /// Whether the homeserver is not asked if the name is free.
    pub skip_homeserver_check: bool,
}

impl MasClient {
    /// The user whose localpart is exactly this one. MAS ignores case, and so finds others as well,
    /// who are none of this name.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn user_by_localpart(&self, localpart: &str) -> Result<Option<User>, MasError> {
        let request = Request::get(RequestKind::User, &["users", "by-username", localpart]);
        let found = self.find::<UserBody>(&request).await?;
        Ok(found.map(User::from).filter(|user| user.username == localpart))
    }

    /// The user of this id.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn user(&self, id: &Ulid) -> Result<Option<User>, MasError> {
        let request = Request::get(RequestKind::User, &["users", id.as_str()]);
        Ok(self.find::<UserBody>(&request).await?.map(User::from))
    }

    /// Creates a user. Success means that nobody had the name before.
    ///
    /// # Errors
    /// 409 for a name that is taken or kept back by the homeserver, 400 for one that cannot be, and
    /// what kept MAS from answering.
    pub async fn create_user(&self, user: &NewUser<'_>) -> Result<User, MasError> {
        let request = Request::post(RequestKind::CreateUser, &["users"], user)?;
        let answer = self.send(&request).await?;
        if answer.status != StatusCode::CREATED {
            return Err(self.not_of_mas(&request));
        }
        let response: SingleResponse<UserBody> = self.understand(&request, &answer)?;
        Ok(response.data.into())
    }

    /// Closes an account. MAS answers before the work is done: sessions end, then the homeserver is
    /// told.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn deactivate_user(&self, id: &Ulid, skip_erase: bool) -> Result<(), MasError> {
        self.modify(id, "deactivate", &json!({ "skip_erase": skip_erase })).await
    }

    /// Says whether the user may ask for the scopes of administrators.
    ///
    /// # Errors
    /// As for [`Self::deactivate_user`].
    pub async fn set_admin(&self, id: &Ulid, is_admin: bool) -> Result<(), MasError> {
        self.modify(id, "set-admin", &json!({ "admin": is_admin })).await
    }

    /// Gives an account a password.
    ///
    /// # Errors
    /// 403 where MAS has no passwords, 400 for one that is too weak, and as for
    /// [`Self::deactivate_user`].
    pub async fn set_password(
        &self,
        id: &Ulid,
        password: &SecretString,
        skip_password_check: bool,
    ) -> Result<(), MasError> {
        let body = PasswordBody { password: password.expose_secret(), skip_password_check };
        let path = ["users", id.as_str(), "set-password"];
        let request = Request::post(RequestKind::ModifyUser, &path, &body)?;
        self.act(&request.concealing(password.expose_secret())).await
    }

    async fn modify(
        &self,
        id: &Ulid,
        verb: &str,
        body: &serde_json::Value,
    ) -> Result<(), MasError> {
        let path = ["users", id.as_str(), verb];
        self.act(&Request::post(RequestKind::ModifyUser, &path, body)?).await
    }
}

/// The form of MAS' answer.
#[derive(Deserialize)]
pub(super) struct UserBody {
    username: String,
    created_at: Timestamp,
    #[serde(default)]
    locked_at: Option<String>,
    #[serde(default)]
    deactivated_at: Option<String>,
    #[serde(default)]
    admin: bool,
}

impl From<Resource<UserBody>> for User {
    fn from(Resource { id, attributes, .. }: Resource<UserBody>) -> Self {
        Self {
            id,
            username: attributes.username,
            created_at: attributes.created_at,
            is_locked: attributes.locked_at.is_some(),
            is_deactivated: attributes.deactivated_at.is_some(),
            is_admin: attributes.admin,
        }
    }
}

#[derive(Serialize)]
struct PasswordBody<'a> {
    password: &'a str,
    skip_password_check: bool,
}
