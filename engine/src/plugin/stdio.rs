//! What the plugin writes to its standard streams, for hosts that show it: nothing. The log goes to
//! stderr itself, where the host reads it.

use std::pin::Pin;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status, async_trait};

use super::proto::grpc_stdio_server::GrpcStdio;
use super::proto::{Empty, StdioData};

/// The standard streams as a service.
pub struct StdioService;

#[async_trait]
impl GrpcStdio for StdioService {
    type StreamStdioStream = Pin<Box<dyn Stream<Item = Result<StdioData, Status>> + Send>>;

    async fn stream_stdio(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(Box::pin(stream::pending())))
    }
}
