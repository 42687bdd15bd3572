//! The verbs where the secrets engine for Matrix has the secrets, in place of a KV engine.
//!
//! The secret never comes here: the engine makes it up, keeps it and logs in with it. What needs a
//! session of the account's own reads a lease.
//!
//! [`engine`] finds the engine and a user in it, [`leases`] has what the verbs use, and the others
//! are a verb each.

mod engine;
mod leases;
mod list;
mod provision;
mod revoke;
mod rotate;

pub use leases::EngineLease;
