//! The secrets engine for Matrix: the users that it has, and leases of their access tokens.
//!
//! Leases are renewed and revoked by Vault itself:
//! <https://developer.hashicorp.com/vault/api-docs/system/leases>

use std::time::Duration;

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::error::quote;
use super::request::{Request, RequestKind};
use super::transport::ServerResponse;
use super::{Mount, VaultError};
use crate::user_id::UserId;

/// The secrets engine at a client's mount.
pub struct SecretsEngine<'a> {
    client: &'a Client,
}

/// Where a user is below the mount: `LOCALPART/SERVER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineUser(String);

/// An access token that ends with its lease. Its `Debug` shows no token.
#[derive(Debug)]
pub struct Lease {
    /// The name of the lease.
    pub lease_id: String,
    /// How long it runs from now on, unless it is renewed.
    pub duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// What it is for.
    pub access_token: SecretString,
    /// The session's device.
    pub device_id: String,
    /// Whose session it is.
    pub user_id: String,
    /// Where the homeserver is, as the engine was told.
    pub homeserver_url: String,
}

#[derive(Deserialize)]
struct LeaseAnswer {
    lease_id: String,
    lease_duration: u64,
    renewable: bool,
    data: Option<LeaseData>,
}

#[derive(Deserialize)]
struct LeaseData {
    access_token: SecretString,
    device_id: String,
    user_id: String,
    homeserver_url: String,
}

impl EngineUser {
    /// The place of a user; `None` if their localpart would make a path that means another place.
    #[must_use]
    pub fn of(user_id: &UserId) -> Option<Self> {
        let localpart = user_id.localpart();
        let is_plain = |segment: &str| !matches!(segment, "" | "." | "..");
        let server = user_id.as_str().get(localpart.len().saturating_add(2)..)?;
        let is_safe = localpart.split('/').all(is_plain) && is_plain(server);
        (is_safe && !server.contains('/')).then(|| Self(format!("{localpart}/{server}")))
    }
}

impl std::fmt::Display for EngineUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> SecretsEngine<'a> {
    /// The engine at the mount of this client.
    #[must_use]
    pub fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// The mount.
    #[must_use]
    pub fn mount(&self) -> &Mount {
        self.client.mount()
    }

    /// Whether the engine has a user.
    ///
    /// # Errors
    /// What kept Vault from telling.
    pub async fn has_user(&self, user: &EngineUser) -> Result<bool, VaultError> {
        let path = format!("{}/config/user/{user}", self.mount());
        let answer = self.client.send(&Request::get(RequestKind::Other, &path)).await?;
        self.is_found(&answer)
    }

    /// Whether the engine knows a homeserver.
    ///
    /// # Errors
    /// What kept Vault from telling.
    pub async fn has_homeserver(&self, server_name: &str) -> Result<bool, VaultError> {
        let path = format!("{}/config/homeserver/{server_name}", self.mount());
        let answer = self.client.send(&Request::get(RequestKind::Other, &path)).await?;
        self.is_found(&answer)
    }

    /// The ids of all users.
    ///
    /// # Errors
    /// What kept Vault from telling.
    pub async fn users(&self) -> Result<Vec<String>, VaultError> {
        let request = Request {
            // Many proxies refuse the method LIST, for which this stands.
            query: Some("list=true".to_owned()),
            longest_answer: LONGEST_LIST,
            ..Request::get(RequestKind::Other, &format!("{}/config/user/", self.mount()))
        };
        let answer = self.client.send(&request).await?;
        if !self.is_found(&answer)? {
            return Ok(Vec::new());
        }
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|_| self.foreign())?;
        let keys = answer.pointer("/data/keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| self.foreign())?;
        Ok(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Adds a user, whose secret the engine makes up. Returns `false` if it has the user already,
    /// which changes nothing.
    ///
    /// # Errors
    /// What the engine has against it, and what kept Vault from answering.
    pub async fn create_user(&self, user: &EngineUser) -> Result<bool, VaultError> {
        let path = format!("{}/config/user/{user}", self.mount());
        let body = json!({"create_only": true});
        let answer =
            self.client.send(&Request::post(RequestKind::Other, &path, Some(&body))).await?;
        if answer.status.is_success() {
            return Ok(true);
        }
        // The text may change from one release to the next, so the user is looked for.
        if answer.status.as_u16() == 400 && self.has_user(user).await? {
            return Ok(false);
        }
        Err(self.refused(&answer))
    }

    /// Removes a user, and ends the session that stays, if the user has one. One who is not there
    /// is no error.
    ///
    /// # Errors
    /// What the engine has against it, and what kept Vault from answering.
    pub async fn delete_user(&self, user: &EngineUser) -> Result<(), VaultError> {
        let path = format!("{}/config/user/{user}", self.mount());
        let request = Request { method: Method::DELETE, ..Request::get(RequestKind::Other, &path) };
        self.succeeded(&self.client.send(&request).await?)
    }

    /// Gives a user another secret, for logins from now on. Returns when, by Vault's clock, in
    /// seconds since 1970.
    ///
    /// # Errors
    /// What the engine has against it, and what kept Vault from answering.
    pub async fn rotate(&self, user: &EngineUser) -> Result<Option<u64>, VaultError> {
        let path = format!("{}/rotate/{user}", self.mount());
        let answer = self.client.send(&Request::post(RequestKind::Other, &path, None)).await?;
        self.succeeded(&answer)?;
        Ok(answer.date)
    }

    /// Opens a session with a lease.
    ///
    /// # Errors
    /// What the engine has against it, and what kept Vault from answering.
    pub async fn lease(&self, user: &EngineUser) -> Result<Lease, VaultError> {
        let path = format!("{}/user/{user}", self.mount());
        let answer = self.client.send(&Request::get(RequestKind::Other, &path)).await?;
        self.succeeded(&answer)?;
        let LeaseAnswer { lease_id, lease_duration, renewable, data } =
            serde_json::from_slice(&answer.body).map_err(|_| self.foreign())?;
        let Some(LeaseData { access_token, device_id, user_id, homeserver_url }) = data else {
            return Err(self.foreign());
        };
        Ok(Lease {
            lease_id,
            duration: Duration::from_secs(lease_duration),
            renewable,
            access_token,
            device_id,
            user_id,
            homeserver_url,
        })
    }

    /// Keeps a lease; returns how long it runs from now on.
    ///
    /// # Errors
    /// A 400 for a lease that is over or whose token is dead, and what kept Vault from answering.
    pub async fn renew(&self, lease_id: &str) -> Result<Duration, VaultError> {
        let body = json!({"lease_id": lease_id});
        let request = Request::post(RequestKind::Other, "sys/leases/renew", Some(&body));
        let answer = self.client.send(&request).await?;
        self.succeeded(&answer)?;
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|_| self.foreign())?;
        let seconds = answer.get("lease_duration").and_then(Value::as_u64);
        seconds.map(Duration::from_secs).ok_or_else(|| self.foreign())
    }

    /// Ends a lease, and with it the session.
    ///
    /// # Errors
    /// [`VaultError::Denied`] if the token may not, and what kept Vault from answering.
    pub async fn revoke(&self, lease_id: &str) -> Result<(), VaultError> {
        // Answered once it is done, not before.
        let body = json!({"lease_id": lease_id, "sync": true});
        let request = Request::post(RequestKind::Other, "sys/leases/revoke", Some(&body));
        self.succeeded(&self.client.send(&request).await?)
    }

    fn is_found(&self, answer: &ServerResponse) -> Result<bool, VaultError> {
        match answer.status.as_u16() {
            200 => Ok(true),
            // Nothing is said of what is not there; a mount that is not there has words.
            404 if quote(&answer.body).is_empty() => Ok(false),
            _ => Err(self.refused(answer)),
        }
    }

    fn succeeded(&self, answer: &ServerResponse) -> Result<(), VaultError> {
        if answer.status.is_success() { Ok(()) } else { Err(self.refused(answer)) }
    }

    fn refused(&self, answer: &ServerResponse) -> VaultError {
        VaultError::Refused {
            by: format!("the secrets engine at {}", self.mount()),
            status: answer.status.as_u16(),
            quote: quote(&answer.body),
        }
    }

    fn foreign(&self) -> VaultError {
        VaultError::Unexpected(format!(
            "the answer is not that of the secrets engine for Matrix; check that {} is one",
            self.mount()
        ))
    }
}

/// Longest list of users that is read, in bytes: some million.
const LONGEST_LIST: usize = 1 << 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_at_the_localpart_and_the_server() {
        let place = |id: &str| {
            let user_id = UserId::of_any_server(id).unwrap();
            EngineUser::of(&user_id).map(|user| user.to_string())
        };
        for (id, expected) in [
            ("@alice:example.org", Some("alice/example.org")),
            ("@team/bot:example.org:8448", Some("team/bot/example.org:8448")),
            // Of the whole id every segment is plain, as the first begins with an @.
            ("@./bot:example.org", None),
            ("@../bot:example.org", None),
            ("@/bot:example.org", None),
            ("@a/..:example.org", None),
            ("@a:example.org/b", None),
        ] {
            assert_eq!(place(id).as_deref(), expected, "{id}");
        }
    }
}
