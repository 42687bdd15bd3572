//! The token with which the module reads secrets: where it comes from, how long it lives, and what
//! replaces it.
//!
//! From the bottom up:
//! * [`identity`] says whose token it is. [`lease`] asks how long a token lives, and renews it.
//! * [`wrapping`] unwraps a secret that was handed over in a wrapping token.
//! * [`auth`] logs in to Vault. [`file`] reads a token that another program keeps up to date.
//! * [`active`] is a token in use, and [`source`] where tokens come from.
//! * [`manager`] holds the token in use and gets another one.
//! * [`lifetime_watcher`] renews it, replaces it before its end, or says in time that it will end.

pub mod active;
pub mod auth;
pub mod file;
pub mod identity;
pub mod lease;
pub mod lifetime_watcher;
pub mod manager;
pub mod source;
#[cfg(test)]
mod tests;
mod wrapping;
