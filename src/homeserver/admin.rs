//! Synapse's admin API: accounts, by the token of an administrator.
//!
//! API: <https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html>
//!
//! Every method refuses with 401 `M_UNKNOWN_TOKEN` for a token that is none, with 403 `M_FORBIDDEN`
//! for one of a user who is no administrator, and with 404 where a proxy hides `/_synapse/admin`.

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::account::AccountBody;
use super::devices::DeleteDevicesBody;
use super::request::Request;
use super::{AccessToken, Account, Attributes, Dated, Homeserver, HomeserverError};

const V1: [&str; 3] = ["_synapse", "admin", "v1"];
const V2: [&str; 3] = ["_synapse", "admin", "v2"];

/// The admin API, by one token.
#[derive(Clone, Copy)]
pub struct Admin<'a> {
    homeserver: &'a Homeserver,
    token: &'a AccessToken,
}

impl Homeserver {
    /// The admin API, by the token of an administrator.
    #[must_use]
    pub fn admin<'a>(&'a self, token: &'a AccessToken) -> Admin<'a> {
        Admin { homeserver: self, token }
    }

    /// Whether the user of this token, who has this id, is an administrator of the homeserver.
    ///
    /// # Errors
    /// 401 `M_UNKNOWN_TOKEN` for a token that is none, and what kept the homeserver from answering.
    pub async fn is_own_account_admin(
        &self,
        token: &AccessToken,
        user_id: &str,
    ) -> Result<bool, HomeserverError> {
        let path = [&V1[..], &["users", user_id, "admin"]].concat();
        match self.fetch::<AdminBody>(&Request::get(&path).with_token(token)?).await {
            Ok(AdminBody { admin }) => Ok(admin),
            Err(error) if is_forbidden(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Admin<'_> {
    /// What Synapse knows of an account, with its clock; `None` if there is no such account.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn account(&self, user_id: &str) -> Result<Dated<Option<Account>>, HomeserverError> {
        let request = self.get(&V2, &["users", user_id])?;
        let answer = self.homeserver.exchange(&request).await?;
        let value = if answer.status.is_success() {
            Some(self.homeserver.understand::<AccountBody>(&request, &answer)?.into())
        } else {
            match Homeserver::refused(&request, &answer) {
                error if error.errcode() == Some("M_NOT_FOUND") => None,
                error => return Err(error),
            }
        };
        Ok(Dated { value, date: answer.date })
    }

    /// Creates an account without a password; returns it if this request did, and no earlier one.
    ///
    /// An account that exists is left as it is: the body is empty.
    ///
    /// # Errors
    /// 400 `M_INVALID_USERNAME` for a user id that cannot be, and what kept the homeserver from
    /// answering.
    pub async fn create(&self, user_id: &str) -> Result<Option<Account>, HomeserverError> {
        let request = self.put(&V2, &["users", user_id], &json!({}))?;
        let answer = self.homeserver.send(&request).await?;
        let account = self.homeserver.understand::<AccountBody>(&request, &answer)?;
        Ok((answer.status == StatusCode::CREATED).then(|| account.into()))
    }

    /// Sets attributes of an account that is known to exist.
    ///
    /// Synapse has no request that does only this. If the account is gone by then, which takes an
    /// operation on the database, Synapse creates it again with these attributes and no password,
    /// and the error says so.
    ///
    /// # Errors
    /// 400 for attributes that are not taken, an error for an account that was not there, and what
    /// kept the homeserver from answering.
    pub async fn modify(
        &self,
        user_id: &str,
        attributes: &Attributes<'_>,
    ) -> Result<(), HomeserverError> {
        self.put_to_existing(user_id, attributes).await
    }

    /// Removes the e-mail addresses and telephone numbers of an account that is known to exist.
    ///
    /// # Errors
    /// As for [`Self::modify`].
    pub async fn remove_threepids(&self, user_id: &str) -> Result<(), HomeserverError> {
        self.put_to_existing(user_id, &json!({ "threepids": [] })).await
    }

    async fn put_to_existing(
        &self,
        user_id: &str,
        body: &impl Serialize,
    ) -> Result<(), HomeserverError> {
        let request = self.put(&V2, &["users", user_id], body)?;
        let answer = self.homeserver.send(&request).await?;
        if answer.status == StatusCode::CREATED {
            return Err(HomeserverError::Unexpected {
                what: format!("the account {user_id} was gone, and has been created again"),
                may_have_applied: true,
            });
        }
        Ok(())
    }

    /// The ids of the devices of an account.
    ///
    /// # Errors
    /// 404 `M_NOT_FOUND` if there is no such account, and what kept the homeserver from answering.
    pub async fn devices(&self, user_id: &str) -> Result<Vec<String>, HomeserverError> {
        let request = self.get(&V2, &["users", user_id, "devices"])?;
        let DevicesBody { devices } = self.homeserver.fetch(&request).await?;
        Ok(devices.into_iter().map(|device| device.device_id).collect())
    }

    /// Deletes devices of an account, and ends their sessions.
    ///
    /// # Errors
    /// As for [`Self::devices`].
    pub async fn delete_devices(
        &self,
        user_id: &str,
        devices: &[String],
    ) -> Result<(), HomeserverError> {
        self.post(&V2, &["users", user_id, "delete_devices"], &DeleteDevicesBody { devices })
            .await
            .map(drop)
    }

    /// Gives an account a password, and ends its sessions if `logout_devices`.
    ///
    /// Synapse spares a device that happens to have the same id as the administrator's own.
    ///
    /// # Errors
    /// 403 `M_FORBIDDEN` where the homeserver's passwords cannot be changed, 404 `M_NOT_FOUND` if
    /// there is no such account, and what kept the homeserver from answering.
    pub async fn reset_password(
        &self,
        user_id: &str,
        password: &SecretString,
        logout_devices: bool,
    ) -> Result<(), HomeserverError> {
        let body = PasswordBody { new_password: password.expose_secret(), logout_devices };
        let path = [&V1[..], &["reset_password", user_id]].concat();
        let request = Request::post(&path, &body)?.with_token(self.token)?.concealing(password);
        self.homeserver.send(&request).await.map(drop)
    }

    /// Closes an account for good. Messages stay.
    ///
    /// # Errors
    /// 404 `M_NOT_FOUND` if there is no such account, and what kept the homeserver from answering.
    pub async fn deactivate(&self, user_id: &str) -> Result<(), HomeserverError> {
        self.post(&V1, &["deactivate", user_id], &json!({ "erase": false })).await.map(drop)
    }

    /// Opens a session as another user. It has no device, so neither [`Admin::delete_devices`] nor
    /// [`Homeserver::log_out_everywhere`] ends it, though the latter ends the user's own sessions;
    /// [`Homeserver::log_out`] does.
    ///
    /// # Errors
    /// 404 `M_NOT_FOUND` if there is no such account, 400 for the administrator's own, and what
    /// kept the homeserver from answering.
    pub async fn log_in_as(&self, user_id: &str) -> Result<AccessToken, HomeserverError> {
        let path = [&V1[..], &["users", user_id, "login"]].concat();
        let request = Request::post(&path, &json!({}))?.with_token(self.token)?;
        let TokenBody { access_token } = self.homeserver.fetch(&request).await?;
        AccessToken::parse(&access_token).map_err(|_| self.homeserver.not_of_matrix(&request))
    }

    fn get(&self, version: &[&str], path: &[&str]) -> Result<Request<'_>, HomeserverError> {
        Request::get(&[version, path].concat()).with_token(self.token)
    }

    fn put(
        &self,
        version: &[&str],
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Request<'_>, HomeserverError> {
        Request::put(&[version, path].concat(), body)?.with_token(self.token)
    }

    async fn post(
        &self,
        version: &[&str],
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<crate::http::ServerResponse, HomeserverError> {
        let request = Request::post(&[version, path].concat(), body)?.with_token(self.token)?;
        self.homeserver.send(&request).await
    }
}

fn is_forbidden(error: &HomeserverError) -> bool {
    error.status() == Some(403) && error.errcode() == Some("M_FORBIDDEN")
}

#[derive(Deserialize)]
struct AdminBody {
    admin: bool,
}

#[derive(Deserialize)]
struct DevicesBody {
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    device_id: String,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretString,
}

#[derive(Serialize)]
struct PasswordBody<'a> {
    new_password: &'a str,
    logout_devices: bool,
}
