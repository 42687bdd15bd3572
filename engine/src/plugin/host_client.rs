//! Asks the host for what it keeps for a mount, and for what it tells about itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tower::service_fn;

use super::broker::Broker;
use super::log;
use super::proto;
use super::proto::storage_client::StorageClient;
use super::proto::system_view_client::SystemViewClient;
use super::tls::server_name;
use crate::logical::{Host, ReplicationState, Storage, StorageEntry, StorageError, SystemView};

/// How long connecting to the host may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Connects to what the host serves to a mount.
#[derive(Clone)]
pub struct HostConnector {
    broker: Broker,
    tls: Arc<ClientConfig>,
}

impl HostConnector {
    /// Connects where the broker says.
    pub fn new(broker: Broker, tls: ClientConfig) -> Self {
        Self { broker, tls: Arc::new(tls) }
    }

    /// Where the host tells what it serves.
    pub fn broker(&self) -> Broker {
        self.broker.clone()
    }

    /// Connects to what the host serves under this number.
    ///
    /// # Errors
    /// When the host does not tell where that is, or nobody answers there.
    pub async fn connect(&self, id: u32) -> Result<Host, String> {
        let socket = self.broker.socket(id).await?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let connect = service_fn(move |_: Uri| {
            let (socket, tls) = (socket.clone(), tls.clone());
            async move {
                let stream = UnixStream::connect(socket).await?;
                tls.connect(server_name(), stream).await.map(TokioIo::new)
            }
        });
        // The address is for the headers alone.
        let channel = Endpoint::from_static("http://localhost")
            .connect_timeout(CONNECT_TIME)
            .connect_with_connector(connect)
            .await
            .map_err(|error| format!("cannot connect to the host: {error}"))?;
        Ok(host(channel))
    }
}

fn host(channel: Channel) -> Host {
    let storage = StorageClient::new(channel.clone())
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    Host {
        storage: Arc::new(HostStorage(storage)),
        system: Arc::new(HostSystemView(SystemViewClient::new(channel))),
        notices: log::notices(),
    }
}

struct HostStorage(StorageClient<Channel>);

impl Storage for HostStorage {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StorageError>> {
        Box::pin(async move {
            let args = proto::StorageGetArgs { key: key.to_owned() };
            let reply = self.0.clone().get(args).await.map_err(failed)?.into_inner();
            checked(reply.err)?;
            Ok(reply.entry.map(|entry| entry.value.into()))
        })
    }

    fn put(&self, entry: StorageEntry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let StorageEntry { key, value, seal_wrap } = entry;
            let entry = proto::StorageEntry { key, value: value.into(), seal_wrap };
            let args = proto::StoragePutArgs { entry: Some(entry) };
            checked(self.0.clone().put(args).await.map_err(failed)?.into_inner().err)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let args = proto::StorageDeleteArgs { key: key.to_owned() };
            checked(self.0.clone().delete(args).await.map_err(failed)?.into_inner().err)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(async move {
            let args = proto::StorageListArgs { prefix: prefix.to_owned() };
            let reply = self.0.clone().list(args).await.map_err(failed)?.into_inner();
            checked(reply.err)?;
            Ok(reply.keys)
        })
    }
}

struct HostSystemView(SystemViewClient<Channel>);

impl SystemView for HostSystemView {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Result<Duration, StorageError>> {
        Box::pin(async {
            let reply = self.0.clone().default_lease_ttl(proto::Empty {}).await;
            reply.map(|reply| duration(reply.into_inner().ttl)).map_err(failed)
        })
    }

    fn max_lease_ttl(&self) -> BoxFuture<'_, Result<Duration, StorageError>> {
        Box::pin(async {
            let reply = self.0.clone().max_lease_ttl(proto::Empty {}).await;
            reply.map(|reply| duration(reply.into_inner().ttl)).map_err(failed)
        })
    }

    fn is_tainted(&self) -> BoxFuture<'_, Result<bool, StorageError>> {
        Box::pin(async {
            let reply = self.0.clone().tainted(proto::Empty {}).await;
            reply.map(|reply| reply.into_inner().tainted).map_err(failed)
        })
    }

    fn replication_state(&self) -> BoxFuture<'_, Result<ReplicationState, StorageError>> {
        Box::pin(async {
            let reply = self.0.clone().replication_state(proto::Empty {}).await;
            reply.map(|reply| ReplicationState(reply.into_inner().state)).map_err(failed)
        })
    }
}

/// A time in nanoseconds; a negative one is none.
pub fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

/// The host's own words, which may mean something to it.
fn checked(error: String) -> Result<(), StorageError> {
    if error.is_empty() { Ok(()) } else { Err(StorageError(error)) }
}

#[expect(clippy::needless_pass_by_value, reason = "as results hand it over")]
fn failed(status: Status) -> StorageError {
    match status.code() {
        Code::Unavailable | Code::Cancelled => StorageError("the host is going away".to_owned()),
        _ => StorageError(format!("the host's storage failed: {}", status.message())),
    }
}
