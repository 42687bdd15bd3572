//! Logins where Matrix Authentication Service (MAS) has the accounts: once the token hash is known to
//! be right, a session is opened there.
//!
//! From the bottom up:
//! * [`MasConfig`] is how it is configured, and [`MasEvent`] what comes out.
//! * `failure` says what MAS' errors mean for a login, and `account` which accounts may log in.
//! * `turns` bounds how many sessions are opened at once, `device` knows who has a device, `lost` ends
//!   what lost answers have left, and `expired` what is of no use any more.
//! * [`MasLogins`] is what all logins share. [`open`], [`register`] and [`log_out`] are what is done.

mod account;
mod config;
mod device;
mod event;
mod expired;
mod failure;
mod logging_out;
mod logins;
mod lost;
mod opening;
mod registering;
#[cfg(test)]
mod tests;
mod turns;

pub use config::MasConfig;
pub use event::{ClientError, LogoutResult, MasEvent, OpenResult, OpenedSession, PassedOnResult};
pub use logging_out::log_out;
pub use logins::{MasLogins, SessionRequest, SessionWishes};
pub use opening::open;
pub use registering::register;
