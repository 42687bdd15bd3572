//! A session, as it is kept to be ended.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use synapse_vault_auth_provider_core::homeserver::LoginEndpoint;

use super::homeserver_config::HomeserverAddress;
use super::store::serialize_optional_secret;

/// A session, with all that is needed to end it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldSession {
    /// The user.
    pub user_id: String,
    /// The device.
    pub device_id: String,
    /// Where the homeserver answered.
    #[serde(flatten)]
    pub homeserver: HomeserverAddress,
    /// The token. Without one, the device is logged in once more to log it out.
    #[serde(
        default,
        serialize_with = "serialize_optional_secret",
        skip_serializing_if = "Option::is_none"
    )]
    pub access_token: Option<SecretString>,
    /// Where it was opened, and is to be ended. Without a token it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<LoginEndpoint>,
}
