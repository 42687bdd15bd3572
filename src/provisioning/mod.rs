//! Accounts that log in through Vault: created, logged in, given other secrets, and revoked.
//!
//! One file for each verb: [`provision`], [`login`], [`rotate`], [`revoke`], [`profile`], [`list`],
//! [`diagnose`]; a folder for [`kept_token`]. What they share, from the bottom up:
//! * [`error`] says what went wrong and what to do about it; [`mod@retry`] repeats requests.
//! * [`account`] is one account: its entry in Vault, whose it is, its sessions, and what is set.
//! * [`authority`] is what lets us create accounts and change those of others, [`mas_access`] Matrix
//!   Authentication Service, where that is it.
//! * [`provisioner`] knows the two servers; [`operation`] is one call of a verb for one account.
//! * [`secrets_engine`] has the same verbs for accounts whose secrets the secrets engine has.
//! * [`findings`] are what a diagnosis comes to.

mod account;
mod authority;
mod config;
mod cross_signing;
mod diagnose;
mod error;
mod findings;
mod kept_token;
mod list;
mod login;
mod mas_access;
mod operation;
mod profile;
mod provision;
mod provisioner;
mod retry;
mod revoke;
mod rotate;
mod secrets_engine;

pub use account::provision_request::ProvisionRequest;
pub use account::sessions::LoginOptions;
pub use config::{Config, LoginTimes};
pub use error::{ErrorKind, ProvisioningError};
pub use findings::{Finding, Status};
pub use kept_token::{KeepOptions, KeptToken};
pub use list::{ListedUser, State};
pub use profile::Profile;
pub use provision::{ProvisionedUser, Token};
pub use provisioner::Provisioner;
pub use revoke::{RevokeOptions, RevokedUser};
pub use rotate::RotatedSecret;
pub use secrets_engine::EngineLease;
