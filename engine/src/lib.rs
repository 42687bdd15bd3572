//! The secrets engine `vault-plugin-secrets-matrix` for `HashiCorp` Vault and `OpenBao`: Matrix
//! access tokens as leases.
//!
//! From the ground up:
//! * [`logical`]: what a backend and its host say to each other.
//! * [`plugin`]: how it travels. gRPC's types are there alone, and nothing of Matrix is.
//! * [`framework`]: the paths of a backend, whatever they are.
//! * [`storage`]: what a mount keeps.
//! * [`backend`]: a mount: its users, its homeservers, the sessions that it opens and ends.
//! * [`paths`]: the paths, a file for each.
//! * [`engine`]: all of it together.

pub mod backend;
pub mod engine;
pub mod framework;
#[cfg(any(test, fuzzing))]
mod fuzz;
#[cfg(any(test, fuzzing))]
pub mod fuzz_targets;
pub mod logical;
#[cfg(test)]
#[path = "../../src/fuzz.rs"]
mod made_up_input;
pub mod paths;
pub mod plugin;
pub mod storage;
