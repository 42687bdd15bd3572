//! What answers below a mount.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use synapse_vault_auth_provider_core::notice::Notices;

use super::error::LogicalError;
use super::request::Request;
use super::response::Response;
use super::storage::Storage;
use super::system_view::SystemView;

/// What a host gives to each mount.
#[derive(Clone)]
pub struct Host {
    /// What it keeps for the mount.
    pub storage: Arc<dyn Storage>,
    /// What it tells about itself.
    pub system: Arc<dyn SystemView>,
    /// Its log.
    pub notices: Notices,
}

/// What answers below one mount.
pub trait Backend: Send + Sync + 'static {
    /// Does what is asked. `None` is an answer without a body.
    fn handle(
        self: Arc<Self>,
        request: Request,
    ) -> BoxFuture<'static, Result<Option<Response>, LogicalError>>;

    /// Whether there is something at the path of a write, which decides between create and update;
    /// `None` if the path knows no such difference.
    fn exists(
        self: Arc<Self>,
        request: Request,
    ) -> BoxFuture<'static, Result<Option<bool>, LogicalError>>;

    /// Called once after the mount is there, on standbys too.
    fn initialize(self: Arc<Self>) -> BoxFuture<'static, Result<(), LogicalError>>;

    /// Something else has changed what is kept under this key.
    fn invalidate(&self, key: &str);

    /// Called when the mount goes, or is loaded again. What is under way is finished or given up.
    fn cleanup(self: Arc<Self>) -> BoxFuture<'static, ()>;
}

/// Paths that the host treats specially. A `*` at the end stands for all that begin so.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpecialPaths {
    /// Paths whose policy needs `sudo`.
    pub root: &'static [&'static str],
    /// Prefixes of storage that replication leaves to each cluster.
    pub local_storage: &'static [&'static str],
    /// Prefixes of storage that the seal encrypts once more.
    pub seal_wrap_storage: &'static [&'static str],
}

/// A kind of backend, of which a plugin makes one for each mount.
#[derive(Clone, Copy)]
pub struct BackendType {
    /// The name of the plugin.
    pub name: &'static str,
    /// The version that a host must have registered, such as `v0.1.0`.
    pub version: &'static str,
    /// Paths that the host treats specially.
    pub special_paths: SpecialPaths,
    /// Makes what answers below a mount.
    pub make: fn(Host) -> Arc<dyn Backend>,
}
