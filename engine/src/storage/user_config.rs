//! What is configured of a user.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::store::{Store, Stored, serialize_secret};
use super::ttls::Ttls;
use crate::logical::LogicalError;

/// What is configured of a user. Has no `Debug` that shows the secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserConfig {
    /// The secret that logins are made with.
    #[serde(serialize_with = "serialize_secret")]
    pub login_secret: SecretString,
    /// When the secret was changed, in milliseconds since 1970.
    pub secret_changed_ms: u64,
    /// What devices are called, if it is not the default.
    #[serde(default)]
    pub device_name: Option<String>,
    /// How long leases last.
    #[serde(flatten)]
    pub ttls: Ttls,
}

impl UserConfig {
    /// What devices are called if nothing else is said.
    pub const DEFAULT_DEVICE_NAME: &'static str = "Vault";

    /// A user of whom only the secret is known.
    #[must_use]
    pub fn new(login_secret: SecretString, now_ms: u64) -> Self {
        Self { login_secret, secret_changed_ms: now_ms, device_name: None, ttls: Ttls::default() }
    }

    /// What devices are called.
    #[must_use]
    pub fn device_name(&self) -> &str {
        self.device_name.as_deref().unwrap_or(Self::DEFAULT_DEVICE_NAME)
    }
}

impl Stored for UserConfig {
    const PREFIX: &'static str = "config/user/";
    const VERSION: u32 = 1;
    const IS_SECRET: bool = true;
}

impl Store {
    /// What is configured of a user, by the whole id.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn user(&self, user_id: &str) -> Result<Option<UserConfig>, LogicalError> {
        self.read(user_id).await
    }

    /// Configures a user.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn put_user(&self, user_id: &str, config: &UserConfig) -> Result<(), LogicalError> {
        self.write(user_id, config).await
    }

    /// Forgets a user.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete_user(&self, user_id: &str) -> Result<(), LogicalError> {
        self.delete::<UserConfig>(user_id).await
    }

    /// The ids of all users, sorted.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn users(&self) -> Result<Vec<String>, LogicalError> {
        self.names::<UserConfig>().await
    }
}
