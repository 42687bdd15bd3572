//! The token by which Vault knows us: where it comes from, how long it lives, what replaces it.
//!
//! From the bottom up:
//! * [`lease`] asks how long a token lives, and renews it.
//! * [`wrapping`] unwraps a secret that was handed over in a wrapping token.
//! * [`auth`] logs in to Vault; [`file`] reads a token that somebody else keeps up to date.
//! * [`manager`] has the token in use and gets another one.
//! * [`lifetime_watcher`] keeps it alive.

pub mod auth;
pub mod file;
pub mod lease;
pub mod lifetime_watcher;
pub mod manager;
mod wrapping;
