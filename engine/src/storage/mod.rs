//! What a mount keeps, by its types. Everything is JSON with a version, and a newer version than
//! ours is an error: a plugin that was put back must not misread what the newer one wrote.
//!
//! | key | what |
//! | --- | --- |
//! | `config/homeserver/SERVER` | [`HomeserverConfig`] |
//! | `config/user/USER_ID` | [`UserConfig`], wrapped by the seal |
//! | `static/USER_ID` | [`HeldSession`] that stays, wrapped by the seal |
//! | `opening/ID` | [`Opening`]: a login that is not known to have been answered |
//! | `open/END.ID` | [`Opening`] of a session with a lease, and when it ends at the latest |
//! | `pending/ID` | [`PendingSession`]: an end that is not confirmed, wrapped by the seal |
//!
//! The last three belong to one cluster, as its leases do: they are not replicated.

mod homeserver_config;
mod key;
mod opening;
mod pending_session;
mod session;
mod static_session;
mod store;
mod ttls;
mod user_config;

pub use homeserver_config::{HomeserverAddress, HomeserverConfig};
pub use opening::{OpenSession, Opening, Purpose};
pub use pending_session::PendingSession;
pub use session::HeldSession;
pub use store::Store;
pub use ttls::Ttls;
pub use user_config::UserConfig;

/// Prefixes of storage that belong to one cluster.
pub const LOCAL: &[&str] = &["opening/", "open/", "pending/"];

/// Prefixes of storage with secrets.
pub const SEALED: &[&str] = &["config/user/", "static/", "pending/"];
