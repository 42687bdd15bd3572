//! What an administrator writes, checked, and made into the configuration of the parts below.

mod auth;
mod environment;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod keys;
mod module;
mod provisioning;
mod section;
#[cfg(test)]
mod tests;
mod tls;
mod value;
mod vault;

pub use environment::Environment;
pub use error::SettingsError;
pub use module::Settings;
pub use provisioning::parse as parse_provisioning;
pub use value::parse_duration;
