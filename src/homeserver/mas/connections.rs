//! The connections to MAS' listeners.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Config, MasError};
use crate::http::{
    BaseUrl, ClientConfig, HttpClient, LONGEST_BODY, Proxies, ServerResponse, Tls, TransportError,
};
use crate::notice::Notices;
use crate::sync::Mutex;

/// How many servers may have connections at once: MAS' listeners, and those that it names itself.
const MOST_SERVERS: usize = 6;

/// What carries requests to MAS.
pub(super) trait Transport: Send + Sync {
    /// Sends one request to a server and reads the whole answer.
    fn send<'a>(
        &'a self,
        server: &'a BaseUrl,
        request: reqwest::Request,
    ) -> BoxFuture<'a, Result<ServerResponse, TransportError>>;
}

/// A pool of connections for each server.
pub(super) struct Connections {
    tls: Tls,
    trust_setting: &'static str,
    proxies: Proxies,
    request_timeout: Duration,
    notices: Notices,
    clients: Mutex<Vec<(BaseUrl, Arc<HttpClient>)>>,
}

impl Connections {
    /// Prepares connections to the servers that the configuration names; connects to nothing.
    pub(super) fn new(config: &Config, notices: Notices) -> Result<Self, MasError> {
        let connections = Self {
            tls: config.tls.clone(),
            trust_setting: config.trust_setting,
            proxies: config.proxies.clone(),
            request_timeout: config.request_timeout,
            notices,
            clients: Mutex::default(),
        };
        let configured =
            [Some(&config.admin_api), config.public.as_ref(), config.token_endpoint.as_ref()];
        for server in configured.into_iter().flatten().map(BaseUrl::origin) {
            if connections.known(&server).is_none() {
                let client = HttpClient::new(
                    &connections.client_config(&server),
                    connections.notices.clone(),
                );
                let client = client
                    .map_err(|cause| MasError::unsent(format!("cannot set up TLS: {cause}")))?;
                connections.clients.lock().push((server, Arc::new(client)));
            }
        }
        Ok(connections)
    }

    fn client_config(&self, server: &BaseUrl) -> ClientConfig {
        ClientConfig {
            addresses: vec![server.clone()],
            tls: self.tls.clone(),
            trust_setting: self.trust_setting,
            proxies: self.proxies.clone(),
            request_timeout: self.request_timeout,
        }
    }

    fn known(&self, server: &BaseUrl) -> Option<Arc<HttpClient>> {
        let clients = self.clients.lock();
        clients.iter().find(|(known, _)| known == server).map(|(_, client)| Arc::clone(client))
    }

    /// The connections to a server that MAS itself may have named.
    async fn client(&self, server: &BaseUrl) -> Result<Arc<HttpClient>, TransportError> {
        if let Some(client) = self.known(server) {
            return Ok(client);
        }
        let (config, notices) = (self.client_config(server), self.notices.clone());
        // It reads files.
        let made = tokio::task::spawn_blocking(move || HttpClient::new(&config, notices)).await;
        let failed = |cause| TransportError::Certificate(format!("cannot set up TLS: {cause}"));
        let client = Arc::new(made.map_err(|error| failed(error.to_string()))?.map_err(failed)?);
        let mut clients = self.clients.lock();
        if clients.len() >= MOST_SERVERS {
            clients.pop();
        }
        clients.push((server.clone(), Arc::clone(&client)));
        Ok(client)
    }
}

impl Transport for Connections {
    fn send<'a>(
        &'a self,
        server: &'a BaseUrl,
        request: reqwest::Request,
    ) -> BoxFuture<'a, Result<ServerResponse, TransportError>> {
        Box::pin(async move {
            let server = server.origin();
            let client = self.client(&server).await?;
            client.send_bounded(&server, request, LONGEST_BODY).await
        })
    }
}
