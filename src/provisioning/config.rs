//! What the provisioning helper works with.

use std::time::Duration;

use crate::credential::Credential;
use crate::{homeserver, vault};

/// What the provisioning helper works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the homeserver is reached.
    pub homeserver: homeserver::ConnectionConfig,
    /// The name in its users' ids.
    pub server_name: String,
    /// What lets us register accounts.
    pub registration_shared_secret: Option<Credential>,
    /// What lets us use the admin API.
    pub admin_access_token: Option<Credential>,
    /// The client that may use the admin API of Matrix Authentication Service, where that signs users
    /// in.
    pub mas: Option<homeserver::mas::Config>,
    /// How long the sessions live that the module opens there, if its configuration says so.
    pub mas_session_lifetime: Option<Duration>,
    /// Whether the module passes other logins on to it, if its configuration says so.
    pub mas_passes_other_logins: bool,
    /// What Synapse shares with Matrix Authentication Service.
    pub mas_shared_secret: Option<Credential>,
    /// All that one verb may take, waits included that a server asks for.
    pub timeout: Duration,
    /// How Vault is reached and where the secrets lie in it.
    pub vault: vault::Config,
    /// Whether the mount is that of the secrets engine for Matrix, and not of a KV engine.
    pub secrets_engine: bool,
    /// How long the module goes on accepting what Vault no longer holds; `None` if its
    /// configuration is not known.
    pub login_times: Option<LoginTimes>,
}

/// How long the module goes on accepting what Vault no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginTimes {
    /// How long the secret before a rotation goes on opening its account.
    pub rotation_grace: Duration,
    /// How long a secret opens its account without Vault being asked.
    pub cache_ttl: Duration,
    /// How long it opens it while Vault does not answer.
    pub stale_if_error: Duration,
}
