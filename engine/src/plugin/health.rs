//! Whether the plugin serves:
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use tonic::{Request, Response, Status, async_trait};

use super::proto::health_server::Health;
use super::proto::{HealthCheckRequest, HealthCheckResponse};

/// The name under which hosts ask for it.
const SERVICE: &str = "plugin";

/// It serves.
const SERVING: i32 = 1;

/// Health as a service.
pub struct HealthService;

#[async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "" | SERVICE => Ok(Response::new(HealthCheckResponse { status: SERVING })),
            _ => Err(Status::not_found("there is no such service")),
        }
    }
}
