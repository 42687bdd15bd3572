//! What a backend and its host say to each other, apart from how it travels.
//!
//! The words are those of Vault's own SDK for plugins: a *backend* is what answers below one mount,
//! *storage* is what the host keeps for it, and the *system view* is what it tells about itself.

mod backend;
mod error;
mod request;
mod response;
mod storage;
mod system_view;

pub use backend::{Backend, BackendType, Host, SpecialPaths};
pub use error::LogicalError;
pub use request::{Data, HeldLease, Operation, Request};
pub use response::{Lease, Response};
pub use storage::{READ_ONLY, Storage, StorageEntry, StorageError};
pub use system_view::{ReplicationState, SystemView};
