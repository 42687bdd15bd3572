//! A mount: what it knows while it runs, and what it does to homeservers.
//!
//! * `names`: which servers and users there may be.
//! * `homeservers`: connections. `homeserver_client`: one of them, how many requests there may be at
//!   once, and how long they may take. `failure` puts what goes wrong there into words.
//! * `locks`: what must not happen at once.
//! * [`sessions`]: opening and ending sessions. `ttl` is how long they last.
//! * [`leases`]: renewing and revoking. [`pending`]: ends that are not confirmed, and
//!   `attempts` when they are tried.
//! * [`tick`]: clears up what nobody holds. [`unanswered`]: logins of which nobody may have heard.

pub mod attempts;
pub mod clock;
pub mod failure;
pub mod homeserver_client;
pub mod homeservers;
pub mod leases;
pub mod locks;
mod mount;
pub mod names;
pub mod pending;
pub mod sessions;
pub mod tick;
pub mod ttl;
pub mod unanswered;

pub use mount::Mount;
