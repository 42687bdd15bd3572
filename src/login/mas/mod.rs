//! Logins where Matrix Authentication Service (MAS) has the accounts: once the token hash is known to
//! be right, a session is opened there.
//!
//! From the bottom up:
//! * [`MasConfig`] is how it is configured, and [`MasEvent`] what comes out.
//! * [`MasLogins`] does what Python asks for: opens and ends sessions, registers users, and passes
//!   requests on.

mod config;
mod event;
mod logins;

pub use config::MasConfig;
pub use event::{ClientError, LogoutResult, MasEvent, OpenResult, OpenedSession, PassedOnResult};
pub use logins::{MasLogins, SessionRequest, SessionWishes};
