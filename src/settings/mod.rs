//! What an administrator writes, checked, and made into the configuration of the parts below.

mod auth;
mod environment;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod headers;
mod keys;
mod mas;
mod module;
mod provisioning;
mod proxies;
mod section;
mod sources;
#[cfg(test)]
mod tests;
mod tls;
mod value;
mod variables;
mod vault;

pub use environment::Environment;
pub use error::SettingsError;
pub use module::Settings;
pub use provisioning::{
    KvLocation, login_times, parse as parse_provisioning, parse_kv_location, token_origin,
};
pub use sources::{Precedence, Sources, TokenOrigin};
pub use value::{parse_duration, parse_lifetime};
