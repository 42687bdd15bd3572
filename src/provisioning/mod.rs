//! Accounts that log in through Vault: made, opened, given other secrets, and closed.
//!
//! One file for each verb: [`provision`], [`login`], [`rotate`], [`revoke`], [`profile`], [`list`],
//! [`diagnose`]. What they share:
//! * [`provisioner`] knows the two servers; [`patience`] how long to go on trying.
//! * [`creation_method`] is how an account is made, [`account_entry`] what Vault holds for it, [`secret`] what we
//!   make up.
//! * [`operation`] is what is wanted; [`claim`] sees to it that the account is ours, by [`entry_store`] that
//!   others may take as well, whom [`account_locks`] keep apart in this process; [`conflict`] is what it
//!   finds otherwise.
//! * [`creation`] makes accounts so that it is known whose they are, [`ownership`] finds out about
//!   those that were left half-made, [`attributes`] and [`avatar`] set what is wanted of them.
//! * [`findings`] is what a diagnosis is made of; [`error`] says what went wrong and what to do.

mod account_entry;
mod account_locks;
mod attributes;
mod avatar;
mod claim;
mod config;
mod conflict;
mod creation;
mod creation_method;
mod diagnose;
mod entry_store;
mod error;
mod findings;
mod list;
mod login;
mod operation;
mod ownership;
mod patience;
mod profile;
mod provision;
mod provisioner;
mod revoke;
mod rotate;
#[cfg(test)]
mod stored_entries;

pub use config::{Config, LoginTimes};
pub use error::{ErrorKind, ProvisioningError};
pub use findings::{Finding, Status};
pub use list::{ListedUser, State};
pub use login::LoginOptions;
pub use operation::ProvisionRequest;
pub use profile::Profile;
pub use provision::{ProvisionedUser, Token};
pub use provisioner::Provisioner;
pub use revoke::RevokedUser;
pub use rotate::RotatedSecret;
