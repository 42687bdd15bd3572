//! How sessions are opened at MAS.

use std::time::Duration;

use crate::homeserver::mas;

/// How sessions are opened at MAS.
#[derive(Clone, Debug)]
pub struct MasConfig {
    /// Where MAS is, and who we are to it.
    pub server: mas::Config,
    /// How long a session's token works; `None` for one without an end.
    pub session_lifetime: Option<Duration>,
    /// Whether the session of an administrator may use Synapse's admin API.
    pub admin_scope: bool,
    /// Whether logins that are not ours are passed on to MAS.
    pub pass_other_logins: bool,
}
