//! Matrix Authentication Service (MAS): its admin API, and what of OAuth 2.0 is needed for that.
//!
//! API: <https://element-hq.github.io/matrix-authentication-service/topics/admin-api.html>
//!
//! From the bottom up:
//! * [`Ulid`], [`Timestamp`], [`DeviceId`], [`Scope`] and [`SessionName`] are what requests are made
//!   of, [`MasError`] is what may go wrong, and [`Config`] says where MAS is and who we are to it.
//! * `request` is one request, `connections` carries it, `oauth` knows MAS' public endpoints, and
//!   `access_tokens` has the token for the admin API.
//! * [`MasClient`] sends requests; each of the other files has those of one subject.

mod access_tokens;
mod client;
mod compat_sessions;
mod config;
mod connections;
mod device_id;
mod error;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod identifiers;
mod introspection;
mod oauth;
mod oauth2_sessions;
mod pass_on;
mod personal_sessions;
mod request;
mod request_metrics;
mod resource;
mod scope;
mod server_info;
mod session_name;
#[cfg(test)]
mod tests;
mod timestamp;
mod traces;
mod ulid;
mod user_lookup;
mod user_sessions;
mod users;

pub use client::MasClient;
pub use compat_sessions::CompatSession;
pub use config::Config;
pub use device_id::{DeviceId, DeviceIdError};
pub use error::MasError;
pub use introspection::Introspection;
pub use oauth2_sessions::OAuth2Session;
pub use pass_on::{LegacyEndpoint, PassedOn, PassedRequest};
pub use personal_sessions::{
    CreatedSession, NewPersonalSession, PersonalSession, PersonalSessionFilter,
};
pub use request::RequestKind;
pub use request_metrics::RequestMetrics;
pub use resource::Resource;
pub use scope::Scope;
pub use server_info::SiteConfig;
pub use session_name::{SessionName, SessionPurpose};
pub use timestamp::Timestamp;
pub use traces::Trace;
pub use ulid::Ulid;
pub use users::{NewUser, User};
