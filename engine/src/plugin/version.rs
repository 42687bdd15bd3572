//! The plugin's version, which must be the one that it was registered with.

use tonic::{Request, Response, Status, async_trait};

use super::proto::plugin_version_server::PluginVersion;
use super::proto::{Empty, VersionReply};

/// The version as a service.
pub struct VersionService {
    /// The version, such as `v0.1.0`.
    pub version: &'static str,
}

#[async_trait]
impl PluginVersion for VersionService {
    async fn version(&self, _: Request<Empty>) -> Result<Response<VersionReply>, Status> {
        Ok(Response::new(VersionReply { plugin_version: self.version.to_owned() }))
    }
}
