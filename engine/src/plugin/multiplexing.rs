//! Several mounts in one process.

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, async_trait};

use super::proto::plugin_multiplexing_server::PluginMultiplexing;
use super::proto::{Empty, MultiplexingSupportResponse};

/// The metadata that says which mount a call is for.
const MOUNT: &str = "multiplex_id";

/// Multiplexing as a service.
pub struct MultiplexingService;

#[async_trait]
impl PluginMultiplexing for MultiplexingService {
    async fn multiplexing_support(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<MultiplexingSupportResponse>, Status> {
        Ok(Response::new(MultiplexingSupportResponse { supported: true }))
    }
}

/// The mount that a call is for.
///
/// # Errors
/// When the host does not say, or says several.
pub fn mount_of(metadata: &MetadataMap) -> Result<String, Status> {
    let mut ids = metadata.get_all(MOUNT).iter();
    match (ids.next().and_then(|id| id.to_str().ok()), ids.next()) {
        (Some(id), None) if !id.is_empty() => Ok(id.to_owned()),
        _ => Err(Status::invalid_argument(
            "the call does not say in multiplex_id which mount it is for",
        )),
    }
}
