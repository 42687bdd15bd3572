//! Registration by shared secret, which Synapse offers to whoever holds its configuration.
//!
//! API: <https://element-hq.github.io/synapse/latest/admin_api/register_api.html>

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha1::Sha1;

use super::request::Request;
use super::session::Opened;
use super::{Homeserver, HomeserverError, Session};

const PATH: &[&str] = &["_synapse", "admin", "v1", "register"];

/// An account to register.
#[derive(Clone, Copy)]
pub struct Registration<'a> {
    /// The localpart. Synapse writes upper-case letters small.
    pub localpart: &'a str,
    /// The password; of at most 512 characters, none of them NUL.
    pub password: &'a SecretString,
    /// Whether the user is to be an administrator of the homeserver.
    pub is_admin: bool,
    /// One of the types that Synapse knows, such as `bot`; `None` for people.
    pub user_type: Option<&'a str>,
    /// The display name; Synapse takes the localpart if there is none.
    pub display_name: Option<&'a str>,
    /// Whether to leave out the session.
    pub inhibit_login: bool,
}

/// An account that was registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its user id, as the homeserver writes it.
    pub user_id: String,
    /// The session, unless it was left out: by request, or because the account waits for approval.
    pub session: Option<Session>,
}

impl Homeserver {
    /// Registers an account.
    ///
    /// The time that requests have holds for each of the two that this is.
    ///
    /// # Errors
    /// [`HomeserverError::Refused`] with 400 `M_USER_IN_USE` for a user id that is taken, 400
    /// `M_INVALID_USERNAME` for one that cannot be, 403 `M_UNKNOWN` ("HMAC incorrect") for a shared
    /// secret that is another, 400 `M_UNKNOWN` where registration by shared secret is off, and what
    /// kept the homeserver from answering.
    pub async fn register(
        &self,
        shared_secret: &SecretString,
        registration: &Registration<'_>,
    ) -> Result<Registered, HomeserverError> {
        let Registration { localpart, password, is_admin, user_type, .. } = *registration;
        let NonceBody { nonce } = self.fetch(&Request::get(PATH)).await?;
        let mac = registration_mac(
            shared_secret.expose_secret(),
            &nonce,
            localpart,
            password.expose_secret(),
            is_admin,
            user_type,
        );
        let body = RegistrationBody {
            nonce: &nonce,
            username: localpart,
            password: password.expose_secret(),
            admin: is_admin,
            user_type,
            displayname: registration.display_name,
            inhibit_login: registration.inhibit_login,
            mac: &mac,
        };
        let request = Request::post(PATH, &body)?
            .concealing(shared_secret)
            .concealing(password)
            .concealing_text(&mac);
        let opened: Opened = self.fetch(&request).await?;
        let (user_id, has_token) = (opened.user_id.clone(), opened.has_token());
        let session = opened.into_session();
        if has_token && session.is_none() {
            return Err(self.not_of_matrix(&request));
        }
        Ok(Registered { user_id, session })
    }
}

/// Computes what proves to Synapse that a registration comes from a holder of the shared secret:
/// HMAC-SHA1 over the fields with NUL between them, in lower-case hex.
#[must_use]
pub fn registration_mac(
    shared_secret: &str,
    nonce: &str,
    localpart: &str,
    password: &str,
    is_admin: bool,
    user_type: Option<&str>,
) -> String {
    let admin = if is_admin { "admin" } else { "notadmin" };
    // HMAC takes a key of any length (RFC 2104), so the default, which is no MAC, never shows.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(shared_secret.as_bytes()) else {
        return String::new();
    };
    mac.update(nonce.as_bytes());
    for field in [Some(localpart), Some(password), Some(admin), user_type].into_iter().flatten() {
        mac.update(b"\0");
        mac.update(field.as_bytes());
    }
    base16ct::lower::encode_string(&mac.finalize().into_bytes())
}

#[derive(Deserialize)]
struct NonceBody {
    nonce: String,
}

#[derive(Serialize)]
struct RegistrationBody<'a> {
    nonce: &'a str,
    username: &'a str,
    password: &'a str,
    admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<&'a str>,
    inhibit_login: bool,
    mac: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        registration_shared_secret: String,
        nonce: String,
        username: String,
        password: String,
        admin: bool,
        user_type: Option<String>,
        mac: String,
    }

    #[test]
    fn vectors_agree() {
        let text = include_str!("../../tests/vectors/registration_mac.json");
        let Vectors { cases } = serde_json::from_str(text).unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let mac = registration_mac(
                &case.registration_shared_secret,
                &case.nonce,
                &case.username,
                &case.password,
                case.admin,
                case.user_type.as_deref(),
            );
            assert_eq!(mac, case.mac);
        }
    }
}
