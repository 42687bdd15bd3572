//! Serves until the host goes.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use rustls::ServerConfig;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::Server;

use super::backend_service::BackendService;
use super::broker::{Broker, BrokerService};
use super::controller::ControllerService;
use super::handshake::{self, Invitation};
use super::health::HealthService;
use super::host_client::HostConnector;
use super::log;
use super::multiplexing::MultiplexingService;
use super::presence::HostPresence;
use super::proto::backend_server::BackendServer;
use super::proto::grpc_broker_server::GrpcBrokerServer;
use super::proto::grpc_controller_server::GrpcControllerServer;
use super::proto::grpc_stdio_server::GrpcStdioServer;
use super::proto::health_server::HealthServer;
use super::proto::plugin_multiplexing_server::PluginMultiplexingServer;
use super::proto::plugin_version_server::PluginVersionServer;
use super::socket::{Socket, remove_those_left_behind};
use super::stdio::StdioService;
use super::tls::Identity;
use super::version::VersionService;
use crate::logical::BackendType;

/// How long a handshake of TLS may take.
const TLS_TIME: Duration = Duration::from_secs(10);

/// How long an answer that is under way when we end has to get out.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Connections whose handshake is done and that wait to be served.
const WAITING_CONNECTIONS: usize = 16;

/// Serves a kind of backend until the host goes.
///
/// # Errors
/// What kept us from serving.
pub async fn serve(invitation: &Invitation, backend: BackendType) -> Result<(), String> {
    let identity = Identity::new()?;
    let host = &invitation.host_certificate;
    let tls = |error: rustls::Error| format!("cannot set up TLS: {error}");
    let server_config = identity.server_config(host.clone()).map_err(tls)?;
    let client_config = identity.client_config(host.clone()).map_err(tls)?;
    let socket = Socket::bind(invitation.socket_directory.as_deref())?;
    let line = handshake::answer(socket.path(), identity.certificate());
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("cannot answer the host: {error}"))?;
    tokio::spawn(remove_those_left_behind(socket.path().to_owned()));
    let presence = HostPresence::new();
    let connector = HostConnector::new(Broker::default(), client_config);
    let router = router(connector, backend, &presence);
    let incoming = connections(socket, server_config);
    let serving = router.serve_with_incoming(incoming);
    tokio::select! {
        result = serving => result.map_err(|error| format!("cannot serve: {error}")),
        () = presence.is_over() => {
            // Time for the answer to the call that ends us; the socket goes with what was selected.
            sleep(LAST_WORDS).await;
            Ok(())
        }
    }
}

/// All services.
pub fn router(
    connector: HostConnector,
    backend: BackendType,
    presence: &HostPresence,
) -> tonic::transport::server::Router {
    let broker = BrokerService { broker: connector.broker(), presence: presence.clone() };
    let controller = ControllerService { presence: presence.clone() };
    let version = VersionService { version: backend.version };
    // What a client sends may be longer once the host has written it again, and it is to be
    // refused in words: a limit here would break the call instead.
    let backend = BackendServer::new(BackendService::new(connector, backend))
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    Server::builder()
        .add_service(backend)
        .add_service(GrpcBrokerServer::new(broker))
        .add_service(GrpcControllerServer::new(controller))
        .add_service(GrpcStdioServer::new(StdioService))
        .add_service(HealthServer::new(HealthService))
        .add_service(PluginMultiplexingServer::new(MultiplexingService))
        .add_service(PluginVersionServer::new(version))
}

/// The connections of the host. One that cannot prove to be the host's is dropped, and ends nothing.
pub fn connections(
    socket: Socket,
    config: ServerConfig,
) -> impl futures_util::Stream<Item = std::io::Result<TlsStream<UnixStream>>> {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (sender, receiver) = mpsc::channel(WAITING_CONNECTIONS);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = sender.closed() => return,
            };
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    log::error(&format!("cannot accept a connection: {error}"));
                    sleep(LAST_WORDS).await;
                    continue;
                }
            };
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            tokio::spawn(async move {
                match timeout(TLS_TIME, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => drop(sender.send(stream).await),
                    Ok(Err(error)) => log::error(&format!("a connection failed in TLS: {error}")),
                    Err(_) => log::error("a connection took too long in TLS"),
                }
            });
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|stream| (Ok(stream), receiver))
    })
}
