//! Accounts that log in through Vault: made, opened, given other secrets, and closed.
//!
//! One file for each verb: [`provision`], [`login`], [`rotate`], [`revoke`], [`profile`], [`list`],
//! [`diagnose`]. What they share:
//! * [`provisioner`] knows the two servers; [`patience`] how long to go on trying.
//! * [`attempt`] is how an account is made, [`record`] what Vault holds for it, [`secret`] what we
//!   make up.
//! * [`call`] is what is wanted; [`claim`] sees to it that the account is ours, by [`steps`] that
//!   others may take as well, whom [`turns`] keep apart in this process; [`conflict`] is what it
//!   finds otherwise.
//! * [`creation`] makes accounts so that it is known whose they are, [`resumption`] finds out about
//!   those that were left half-made, [`attributes`] and [`avatar`] set what is wanted of them.
//! * [`findings`] is what a diagnosis is made of; [`error`] says what went wrong and what to do.

mod attempt;
mod attributes;
mod avatar;
mod call;
mod claim;
mod conflict;
mod creation;
mod diagnose;
mod error;
mod findings;
mod list;
mod login;
mod patience;
mod profile;
mod provision;
mod provisioner;
mod record;
mod resumption;
mod revoke;
mod rotate;
mod secret;
mod steps;
#[cfg(test)]
mod stored_entries;
mod turns;

pub use error::{ProvisioningError, Trouble};
pub use findings::{Finding, Status};
pub use list::{ListedUser, State};
pub use login::LoginOptions;
pub use profile::Profile;
pub use provision::{ProvisionRequest, ProvisionedUser, Token};
pub use provisioner::Provisioner;
pub use revoke::RevokedUser;
pub use rotate::RotatedSecret;
