//! The mounts as a service.

use std::collections::HashMap;
use std::sync::Arc;

use synapse_vault_auth_provider_core::sync::Mutex;
use tonic::{Request, Response, Status, async_trait};

use super::convert;
use super::host_client::HostConnector;
use super::multiplexing::mount_of;
use super::proto;
use super::proto::Empty;
use crate::logical::{Backend, BackendType};

/// The type of a backend that holds secrets.
const LOGICAL: u32 = 1;

/// The mounts of this process.
pub struct BackendService {
    connector: HostConnector,
    kind: BackendType,
    mounts: Mutex<HashMap<String, Mount>>,
}

enum Mount {
    /// The host is asked for what it keeps, by the call that this belongs to.
    BeingSetUp(Arc<()>),
    Ready(Arc<dyn Backend>),
}

impl BackendService {
    /// No mounts yet.
    pub fn new(connector: HostConnector, kind: BackendType) -> Self {
        Self { connector, kind, mounts: Mutex::default() }
    }

    fn mount<T>(&self, request: &Request<T>) -> Result<Arc<dyn Backend>, Status> {
        let id = mount_of(request.metadata())?;
        match self.mounts.lock().get(&id) {
            Some(Mount::Ready(backend)) => Ok(Arc::clone(backend)),
            _ => Err(Status::failed_precondition("this mount is not set up")),
        }
    }

    async fn set_up(&self, id: &str, broker_id: u32) -> Result<(), String> {
        let call = Arc::new(());
        {
            let mut mounts = self.mounts.lock();
            if mounts.contains_key(id) {
                return Err("this mount is set up already".to_owned());
            }
            mounts.insert(id.to_owned(), Mount::BeingSetUp(Arc::clone(&call)));
        }
        // A call that is cancelled must not leave the mount half set up.
        let unfinished = Unfinished { mounts: &self.mounts, id, call };
        let host = self.connector.connect(broker_id).await?;
        let mut mounts = self.mounts.lock();
        match mounts.get_mut(id) {
            Some(mount) if mount.is_being_set_up_by(&unfinished.call) => {
                *mount = Mount::Ready((self.kind.make)(host));
                Ok(())
            }
            _ => Err("this mount has gone meanwhile".to_owned()),
        }
    }
}

impl Mount {
    fn is_being_set_up_by(&self, this: &Arc<()>) -> bool {
        matches!(self, Self::BeingSetUp(call) if Arc::ptr_eq(call, this))
    }
}

/// Forgets a mount that was not set up after all.
struct Unfinished<'a> {
    mounts: &'a Mutex<HashMap<String, Mount>>,
    id: &'a str,
    call: Arc<()>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let mut mounts = self.mounts.lock();
        if mounts.get(self.id).is_some_and(|mount| mount.is_being_set_up_by(&self.call)) {
            mounts.remove(self.id);
        }
    }
}

#[async_trait]
impl proto::backend_server::Backend for BackendService {
    async fn handle_request(
        &self,
        request: Request<proto::HandleRequestArgs>,
    ) -> Result<Response<proto::HandleRequestReply>, Status> {
        let backend = self.mount(&request)?;
        let outcome = match convert::request(request.into_inner().request) {
            Ok(request) => backend.handle(request).await,
            Err(error) => Err(error),
        };
        Ok(Response::new(convert::reply(outcome)))
    }

    async fn special_paths(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<proto::SpecialPathsReply>, Status> {
        let paths = convert::special_paths(self.kind.special_paths);
        Ok(Response::new(proto::SpecialPathsReply { paths: Some(paths) }))
    }

    async fn handle_existence_check(
        &self,
        request: Request<proto::HandleExistenceCheckArgs>,
    ) -> Result<Response<proto::HandleExistenceCheckReply>, Status> {
        let backend = self.mount(&request)?;
        let found = match convert::request(request.into_inner().request) {
            Ok(request) => backend.exists(request).await,
            Err(error) => Err(error),
        };
        let mut reply = proto::HandleExistenceCheckReply::default();
        match found {
            Ok(None) => {}
            Ok(Some(exists)) => (reply.check_found, reply.exists) = (true, exists),
            Err(error) => reply.err = Some(convert::proto_error(&error)),
        }
        Ok(Response::new(reply))
    }

    async fn cleanup(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        let id = mount_of(request.metadata())?;
        let mount = self.mounts.lock().remove(&id);
        // Hosts call it twice.
        if let Some(Mount::Ready(backend)) = mount {
            backend.cleanup().await;
        }
        Ok(Response::new(Empty {}))
    }

    async fn invalidate_key(
        &self,
        request: Request<proto::InvalidateKeyArgs>,
    ) -> Result<Response<Empty>, Status> {
        self.mount(&request)?.invalidate(&request.into_inner().key);
        Ok(Response::new(Empty {}))
    }

    async fn setup(
        &self,
        request: Request<proto::SetupArgs>,
    ) -> Result<Response<proto::SetupReply>, Status> {
        let id = mount_of(request.metadata())?;
        let broker_id = request.into_inner().broker_id;
        let err = self.set_up(&id, broker_id).await.err().unwrap_or_default();
        Ok(Response::new(proto::SetupReply { err }))
    }

    async fn initialize(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<proto::InitializeReply>, Status> {
        let outcome = self.mount(&request)?.initialize().await;
        let err = outcome.err().map(|error| convert::proto_error(&error));
        Ok(Response::new(proto::InitializeReply { err }))
    }

    async fn r#type(&self, _: Request<Empty>) -> Result<Response<proto::TypeReply>, Status> {
        Ok(Response::new(proto::TypeReply { r#type: LOGICAL }))
    }
}
