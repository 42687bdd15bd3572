//! The paths of the engine, a file for each.

pub mod config_homeserver;
pub mod config_user;
pub mod login;
mod parts;
pub mod pending;
pub mod rotate;
pub mod static_;
pub mod user;

use crate::backend::Mount;
use crate::framework::Path;

/// All paths.
pub const ALL: &[&Path<Mount>] = &[
    &config_homeserver::PATH,
    &config_homeserver::LIST,
    &config_user::PATH,
    &config_user::LIST,
    &user::PATH,
    &static_::PATH,
    &rotate::PATH,
    &login::PATH,
    &pending::PATH,
    &pending::LIST,
];

/// Paths whose policy needs `sudo`.
pub const ROOT: &[&str] = &["login/*"];
