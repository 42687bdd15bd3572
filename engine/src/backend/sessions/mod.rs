//! Opening and ending sessions.
//!
//! A login is written down before it is made, and its session is written down again before anybody
//! hears of it. So whatever happens in between, `tick` finds it and ends it.

mod end;
mod log_in;
mod open;
mod under_way;

use std::time::Duration;

pub use end::{Ending, client_of, end, end_or_keep, end_static};
pub use open::{Opened, open};
pub use under_way::UnderWay;

/// How long a change of a user waits for its logins that are under way.
pub const CHANGE_TIME: Duration = Duration::from_secs(10);
