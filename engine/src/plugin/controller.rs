//! The controller: the host ends the plugin.

use tonic::{Request, Response, Status, async_trait};

use super::presence::HostPresence;
use super::proto::Empty;
use super::proto::grpc_controller_server::GrpcController;

/// The controller as a service.
pub struct ControllerService {
    /// Told that the host wants us to end.
    pub presence: HostPresence,
}

#[async_trait]
impl GrpcController for ControllerService {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.presence.end();
        Ok(Response::new(Empty {}))
    }
}
