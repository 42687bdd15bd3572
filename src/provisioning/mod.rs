//! Accounts that log in through Vault: made, opened, given other secrets, and closed.
//!
//! One file for each verb: [`provision`], [`login`], [`rotate`], [`revoke`], [`profile`], [`list`],
//! [`diagnose`]. What they share:
//! * [`provisioner`] knows the two servers; [`patience`] how long to go on trying.
//! * [`operation`] is what one call wants.
//! * [`account`] is one account: its entry in Vault, whose it is, and what is set of it.
//! * [`authority`] makes accounts so that it is known whose they are.
//! * [`findings`] is what a diagnosis is made of; [`error`] says what went wrong and what to do.

mod account;
mod authority;
mod config;
mod diagnose;
mod error;
mod findings;
mod list;
mod login;
mod operation;
mod patience;
mod profile;
mod provision;
mod provisioner;
mod revoke;
mod rotate;

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
