//! A host in this process, for tests: it keeps what the plugin stores in memory, and speaks to it as
//! Vault does, over sockets and mutual TLS.

mod host_service;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::stream;
use hyper_util::rt::TokioIo;
use synapse_vault_auth_provider_core::random::new_device_id;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tower::service_fn;

use self::host_service::HostService;
pub use self::host_service::{HostState, SECONDARY};
use super::broker::Broker;
use super::host_client::HostConnector;
use super::presence::HostPresence;
use super::proto;
use super::proto::backend_client::BackendClient;
use super::proto::grpc_broker_client::GrpcBrokerClient;
use super::proto::storage_server::StorageServer;
use super::proto::system_view_server::SystemViewServer;
use super::server::{connections, router};
use super::socket::Socket;
use super::tls::{Identity, server_name};
use crate::logical::BackendType;

pub use super::proto::{
    Empty, HandleRequestArgs, HandleRequestReply, Request as HostRequest, Secret,
};

/// A host, and the plugin that it talks to.
pub struct TestHost {
    pub state: Arc<HostState>,
    pub channel: Channel,
    identity: Arc<Identity>,
    plugin_certificate: rustls::pki_types::CertificateDer<'static>,
    announcements: mpsc::UnboundedSender<proto::ConnInfo>,
    next_id: AtomicU32,
    directory: PathBuf,
}

impl Drop for TestHost {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl TestHost {
    /// Starts both.
    pub async fn start(kind: BackendType) -> Self {
        let directory = std::env::temp_dir().join(format!("engine-{}", new_device_id().unwrap()));
        std::fs::create_dir(&directory).unwrap();
        let identity = Arc::new(Identity::of_a_host());
        let plugin = Identity::new().unwrap();
        let host_certificate = identity.certificate().clone();
        let server_config = plugin.server_config(host_certificate.clone()).unwrap();
        let client_config = plugin.client_config(host_certificate).unwrap();
        let socket = Socket::bind(Some(&directory)).unwrap();
        let path = socket.path().to_owned();
        let connector = HostConnector::new(Broker::default(), client_config);
        let served = router(connector, kind, &HostPresence::new());
        tokio::spawn(served.serve_with_incoming(connections(socket, server_config)));
        let tls = Arc::new(identity.client_config(plugin.certificate().clone()).unwrap());
        let connect = service_fn(move |_| {
            let (path, tls) = (path.clone(), TlsConnector::from(Arc::clone(&tls)));
            async move {
                let stream = UnixStream::connect(path).await?;
                tls.connect(server_name(), stream).await.map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let channel = endpoint.connect_with_connector(connect).await.unwrap();
        let (announcements, receiver) = mpsc::unbounded_channel();
        let told =
            stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<_>| async move {
                receiver.recv().await.map(|info| (info, receiver))
            });
        let mut broker = GrpcBrokerClient::new(channel.clone());
        tokio::spawn(async move {
            let mut stream = broker.start_stream(told).await.unwrap().into_inner();
            let _ = stream.message().await;
        });
        Self {
            state: Arc::new(HostState {
                local_storage: kind.special_paths.local_storage,
                ..HostState::default()
            }),
            channel,
            identity,
            plugin_certificate: plugin.certificate().clone(),
            announcements,
            next_id: AtomicU32::new(1),
            directory,
        }
    }

    /// A call for a mount.
    pub fn call<T>(mount: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("multiplex_id", mount.parse().unwrap());
        request
    }

    /// The mounts as a service.
    pub fn backend(&self) -> BackendClient<Channel> {
        BackendClient::new(self.channel.clone()).max_encoding_message_size(usize::MAX)
    }

    /// Serves storage, tells where, and has a mount set up; returns the error.
    pub async fn set_up(&self, mount: &str) -> String {
        let broker_id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.announce(broker_id);
        let args = proto::SetupArgs { broker_id };
        self.backend().setup(Self::call(mount, args)).await.unwrap().into_inner().err
    }

    /// Serves storage, and tells where.
    pub fn announce(&self, broker_id: u32) {
        let config = self.identity.server_config(self.plugin_certificate.clone()).unwrap();
        let socket = Socket::bind(Some(&self.directory)).unwrap();
        let address = socket.path().to_str().unwrap().to_owned();
        let service = HostService(Arc::clone(&self.state));
        let served = Server::builder()
            .add_service(StorageServer::new(service.clone()))
            .add_service(SystemViewServer::new(service));
        tokio::spawn(served.serve_with_incoming(connections(socket, config)));
        let network = "unix".to_owned();
        let info = proto::ConnInfo { service_id: broker_id, network, address };
        self.announcements.send(info).unwrap();
    }

    /// Asks a mount.
    pub async fn handle(
        &self,
        mount: &str,
        request: proto::Request,
    ) -> Result<HandleRequestReply, Status> {
        let args = proto::HandleRequestArgs { request: Some(request) };
        self.backend().handle_request(Self::call(mount, args)).await.map(Response::into_inner)
    }

    /// Asks a mount that is set up; data is JSON.
    pub async fn ask(&self, operation: &str, path: &str, data: &str) -> HandleRequestReply {
        self.handle("mount", request(operation, path, data.as_bytes())).await.unwrap()
    }

    /// Renews or revokes a lease.
    pub async fn about_lease(&self, operation: &str, secret: Secret) -> HandleRequestReply {
        let request = proto::Request { secret: Some(secret), ..request(operation, "", b"null") };
        self.handle("mount", request).await.unwrap()
    }

    /// The keys that the plugin has stored below a prefix.
    pub fn stored(&self, prefix: &str) -> Vec<String> {
        let entries = self.state.entries.lock();
        entries.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }
}

/// A request for a mount.
pub fn request(operation: &str, path: &str, data: &[u8]) -> proto::Request {
    proto::Request {
        operation: operation.to_owned(),
        path: path.to_owned(),
        data: data.to_vec().into(),
        secret: None,
        mount_point: "matrix/".to_owned(),
    }
}

/// The HTTP status that a host makes of an error, as far as the error says it.
pub fn status(reply: &HandleRequestReply) -> i64 {
    match reply.err.as_ref().map(|error| (error.err_type, error.err_code)) {
        None => 200,
        Some((3, code)) => code,
        Some((5, _)) => 405,
        Some((6, _)) => 404,
        Some((7, _)) => 400,
        Some(_) => 500,
    }
}

/// The data of an answer.
pub fn data(reply: &HandleRequestReply) -> serde_json::Value {
    let response = reply.response.as_ref();
    response
        .map_or(serde_json::Value::Null, |response| serde_json::from_str(&response.data).unwrap())
}
