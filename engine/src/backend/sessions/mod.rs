//! Opening and ending sessions.
//!
//! A login is written down before it is made, and its session is written down again before anybody
//! hears of it. So whatever happens in between, `tick` finds it and ends it.

mod end;
mod log_in;
mod open;
mod state;
mod under_way;

use synapse_vault_auth_provider_core::retry::Deadline;

use super::Mount;
use crate::storage::HomeserverConfig;

pub use end::{Ending, client_of, end, end_or_keep, end_static};
pub use open::{Opened, not_configured, open};
pub use state::{State, state};
pub use under_way::UnderWay;

/// The deadline of a call that asks this homeserver, however many requests it makes: the host holds
/// a lock meanwhile.
pub async fn deadline(mount: &Mount, server: &str) -> Deadline {
    // What keeps the configuration from being read keeps the rest of the call from it as well.
    let configured = mount.store.homeserver(server).await.ok().flatten();
    let timeout = configured.map(|config| config.request_timeout());
    Deadline::after(timeout.unwrap_or(HomeserverConfig::DEFAULT_REQUEST_TIMEOUT))
}
