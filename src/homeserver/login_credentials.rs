//! How one proves to be a user.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// The login type that presents a token hash.
pub const LOGIN_TYPE: &str = "io.t2bot.vault";

/// What proves that one is a user. Has no `Debug`: it opens the account.
#[derive(Clone, Copy)]
pub enum LoginCredentials<'a> {
    /// The token hash under the secret that Vault holds: `io.t2bot.vault`.
    TokenHash(&'a str),
    /// The account's password: `m.login.password`.
    Password(&'a SecretString),
}

impl<'a> LoginCredentials<'a> {
    /// The secret itself, to keep it out of messages.
    pub(super) fn secret(self) -> &'a str {
        match self {
            Self::TokenHash(token_hash) => token_hash,
            Self::Password(password) => password.expose_secret(),
        }
    }

    /// The fields of a login, or of a stage of user-interactive authentication, that prove to be
    /// `user_id`.
    pub(super) fn of(self, user_id: &'a str) -> LoginCredentialsBody<'a> {
        let identifier = Identifier { kind: "m.id.user", user: user_id };
        match self {
            Self::TokenHash(token_hash) => {
                LoginCredentialsBody::TokenHash { identifier, token_hash }
            }
            Self::Password(password) => {
                LoginCredentialsBody::Password { identifier, password: password.expose_secret() }
            }
        }
    }
}

/// The form of a [`LoginCredentials`]:
/// <https://spec.matrix.org/v1.16/client-server-api/#authentication-types>.
#[derive(Serialize)]
#[serde(tag = "type")]
pub enum LoginCredentialsBody<'a> {
    /// Of type [`LOGIN_TYPE`].
    #[serde(rename = "io.t2bot.vault")]
    TokenHash {
        /// The user.
        identifier: Identifier<'a>,
        /// The credentials.
        token_hash: &'a str,
    },
    /// Of a standard type.
    #[serde(rename = "m.login.password")]
    Password {
        /// The user.
        identifier: Identifier<'a>,
        /// The credentials.
        password: &'a str,
    },
}

/// A user, named by user id:
/// <https://spec.matrix.org/v1.16/client-server-api/#identifier-types>.
#[derive(Serialize)]
pub struct Identifier<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    user: &'a str,
}
