//! Opening and ending sessions.
//!
//! A login is written down before it is made, and its session is written down again before anybody
//! hears of it. So whatever happens in between, `tick` finds it and ends it.

mod end;
mod log_in;
mod open;
mod state;
mod under_way;

use std::time::Duration;

use super::Mount;
use crate::logical::LogicalError;
use crate::storage::HomeserverConfig;

pub use end::{Ending, client_of, end, end_or_keep, end_static};
pub use open::{Opened, open};
pub use state::{State, state};
pub use under_way::UnderWay;

/// How long a change of a user waits at most for its logins that are under way.
const CHANGE_TIME: Duration = Duration::from_secs(10);

/// How long a change of a user of this homeserver waits for its logins that are under way. The host
/// holds a lock meanwhile.
///
/// # Errors
/// When storage fails.
pub async fn change_time(mount: &Mount, server: &str) -> Result<Duration, LogicalError> {
    let configured = mount.store.homeserver(server).await?;
    let timeout = configured.map(|config| config.request_timeout());
    Ok(timeout.unwrap_or(HomeserverConfig::DEFAULT_REQUEST_TIMEOUT).min(CHANGE_TIME))
}
