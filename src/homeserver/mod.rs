//! The Matrix homeserver: the requests of the client-server API and of Synapse's admin API that
//! accounts are made, opened, described and closed with.
//!
//! From the bottom up:
//! * [`HomeserverUrl`], [`AccessToken`] and [`HomeserverError`] are what the rest speaks in; `status`
//!   says what an answer without success means.
//! * `request` is one request, of our own making or of the `ruma` crate's; [`Homeserver`] sends it.
//! * Everybody's: `discovery` (what the homeserver offers), `profile`, `media`.
//! * With one's own session: `session` (log in and out), `login_endpoint` (where), `whoami`,
//!   `devices`, `reauthentication` (prove once more who one is, to delete devices or the account).
//! * The administrator's: `registration` by shared secret, and [`Admin`] by access token;
//!   `cross_signing` by the secret of Matrix Authentication Service.
//! * [`mas`]: Matrix Authentication Service, where the homeserver leaves accounts and sessions to it.
//!
//! The `ruma` crate has the requests, except where this module's own fit better: those with a
//! user id in the path (ruma leaves `%` as it is, so that `@a%2fb:x` would become `@a/b:x`), those
//! with a secret in the body (ruma's copies are not wiped), and Synapse's own.

mod account;
mod admin;
mod client;
mod connection_config;
mod cross_signing;
mod devices;
mod discovery;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod login_credentials;
mod login_endpoint;
pub mod mas;
mod media;
mod profile;
mod reauthentication;
mod registration;
mod request;
mod session;
mod status;
#[cfg(test)]
mod tests;
mod token;
mod url;
mod whoami;

pub use account::{Account, Attributes};
pub use admin::Admin;
pub use client::{Dated, Homeserver};
pub use connection_config::ConnectionConfig;
pub use discovery::AuthMetadata;
pub use error::HomeserverError;
pub use login_credentials::{LOGIN_TYPE, LoginCredentials};
pub use login_endpoint::LoginEndpoint;
pub use profile::{Profile, PublicProfile};
pub use reauthentication::VaultStage;
pub use registration::{Registered, Registration, registration_mac};
pub use session::{Login, Session};
pub use token::AccessToken;
pub use url::HomeserverUrl;
