//! The broker: the host tells on it where it serves what it serves to one mount.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::presence::HostPresence;
use super::proto::ConnInfo;
use super::proto::grpc_broker_server::GrpcBroker;

/// How long the host may take to tell where it serves.
const WAIT: Duration = Duration::from_secs(5);

/// How many addresses are kept that nobody has asked for.
const MOST_KEPT: usize = 1024;

/// Where the host serves, by the number that it gave to it.
#[derive(Clone, Default)]
pub struct Broker {
    announced: Arc<Mutex<Announced>>,
    news: Arc<Notify>,
}

#[derive(Default)]
struct Announced {
    sockets: HashMap<u32, String>,
    order: VecDeque<u32>,
}

impl Broker {
    /// Where the host serves what it gave this number. It may tell before or after it is asked.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn socket(&self, id: u32) -> Result<String, String> {
        let told = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(socket) = self.announced.lock().sockets.remove(&id) {
                    return socket;
                }
                news.await;
            }
        };
        let socket = timeout(WAIT, told).await;
        socket.map_err(|_| format!("the host did not tell where it serves {id}"))
    }

    fn announce(&self, info: ConnInfo) {
        if info.network == "unix" {
            let mut announced = self.announced.lock();
            if announced.sockets.insert(info.service_id, info.address).is_none() {
                announced.order.push_back(info.service_id);
            }
            if announced.order.len() > MOST_KEPT
                && let Some(oldest) = announced.order.pop_front()
            {
                announced.sockets.remove(&oldest);
            }
            drop(announced);
            self.news.notify_waiters();
        }
    }
}

/// The broker as a service.
pub struct BrokerService {
    /// What the host tells goes here.
    pub broker: Broker,
    /// The host is there as long as one of its streams is.
    pub presence: HostPresence,
}

#[async_trait]
impl GrpcBroker for BrokerService {
    type StartStreamStream = Pin<Box<dyn Stream<Item = Result<ConnInfo, Status>> + Send>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let mut told = request.into_inner();
        let (broker, present) = (self.broker.clone(), self.presence.arrived());
        tokio::spawn(async move {
            while let Ok(Some(info)) = told.message().await {
                broker.announce(info);
            }
            drop(present);
        });
        // We serve nothing to the host beside the plugin itself, so we never tell it anything.
        Ok(Response::new(Box::pin(stream::pending())))
    }
}
