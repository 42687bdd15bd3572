//! One account: its entry in Vault, whose it is, its sessions, and what is set of it.
//!
//! From the bottom up:
//! * [`account_id`] says which account is meant, [`conflict`] what is wrong with it.
//! * [`creation_method`] is how it was created; [`account_entry`] is what Vault holds for it.
//! * [`creation_time`] tells an account from a later one of the same name.
//! * [`entry_store`] reads and writes that; [`account_locks`] keep calls of one process apart.
//! * [`remote_account`] is the account on the homeserver, [`mas_account`] the one at Matrix
//!   Authentication Service, which [`mas_session`] opens a session of, in one or more
//!   [`session_attempts`].
//! * [`login_options`] say how to log in, [`login_service`] who serves that. [`log_out`] ends the
//!   session of a token. [`sessions`] opens and ends those of an account.
//! * [`attributes`] and [`avatar`] are what is set of an account.
//! * [`claim`] makes sure that the account is ours; [`ownership`] decides to whom a half-made account
//!   belongs.

pub mod account_entry;
pub mod account_id;
pub mod account_locks;
pub mod attributes;
pub mod avatar;
pub mod claim;
pub mod conflict;
pub mod creation_method;
pub mod creation_time;
pub mod entry_store;
pub mod log_out;
pub mod login_options;
pub mod login_service;
pub mod mas_account;
pub mod mas_session;
pub mod ownership;
pub mod provision_request;
pub mod remote_account;
pub mod session_attempts;
pub mod sessions;
#[cfg(test)]
mod stored_entries;
