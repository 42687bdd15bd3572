//! A mount: what it knows while it runs, and what it does to homeservers.
//!
//! * `names`: which servers and users there may be.
//! * `homeservers`: connections, and how many requests there may be at once. `failure` puts what
//!   goes wrong there into words.
//! * `users`: what must not happen to one user at once.
//! * [`sessions`]: opening and ending sessions. `ttl` is how long they last.
//! * [`leases`]: renewing and revoking. [`pending`]: ends that are not confirmed, and
//!   `attempts` when they are tried.
//! * [`tick`]: clears up what nobody holds.

pub mod attempts;
pub mod clock;
pub mod failure;
pub mod homeservers;
pub mod leases;
mod mount;
pub mod names;
pub mod pending;
pub mod sessions;
pub mod tick;
pub mod ttl;
pub mod users;

pub use mount::Mount;
