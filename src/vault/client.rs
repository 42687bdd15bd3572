//! Requests with a token that is replaced when it dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;

use super::address::Address;
use super::cluster::Cluster;
use super::config::Config;
use super::error::VaultError;
use super::mounts::{self, Located, Mounted};
use super::path::{FullPath, Mount};
use super::request::Request;
use super::request_metrics::RequestMetrics;
use super::token::active::ActiveToken;
use super::token::lease::TokenExpiry;
use super::token::lifetime_watcher;
use super::token::manager::{ForbiddenBy, TokenManager};
use super::token::source::TokenSource;
use super::transport::{HttpTransport, Index, RequestHeaders, ServerResponse, Transport};
use crate::notice::Notices;

/// A Vault cluster, with the token for it.
pub struct Client {
    manager: Arc<TokenManager>,
    metrics: Arc<RequestMetrics>,
    mount: Mount,
    /// An address that others can reach than those on this machine.
    exposed: Option<Address>,
    /// Whether a standby forwards requests to the active node when it is asked to, as far as is
    /// known.
    forwards: AtomicBool,
}

impl Client {
    /// Prepares the connections; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config, notices: Notices) -> Result<Self, VaultError> {
        let transport = HttpTransport::new(&config.connection, notices.clone())?;
        Ok(Self::with_transport(config, notices, Arc::new(transport)))
    }

    /// The same with another transport than HTTP.
    pub(crate) fn with_transport(
        config: &Config,
        notices: Notices,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let metrics = Arc::<RequestMetrics>::default();
        let addresses = config.connection.addresses.clone();
        let exposed = addresses.iter().find(|address| !address.is_loopback()).cloned();
        let cluster = Arc::new(Cluster::new(transport, addresses, Arc::clone(&metrics)));
        let mount = config.mount.clone();
        let manager =
            TokenManager::new(config.token_source.clone(), cluster, mount.clone(), notices);
        Self {
            manager: Arc::new(manager),
            metrics,
            mount,
            exposed,
            forwards: AtomicBool::new(true),
        }
    }

    /// Keeps the token alive. Never returns, so run it in a task of its own.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        if let (TokenSource::Proxy, Some(address)) = (self.manager.source(), &self.exposed) {
            self.notices().warning(format!(
                "The proxy at {address} adds its own token to all requests and is neither on this \
                 machine's loopback address nor a unix socket, so whoever reaches it can read all \
                 secrets"
            ));
        }
        lifetime_watcher::watch(Arc::clone(&self.manager))
    }

    /// The cluster's addresses, for messages.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.manager.cluster().names()
    }

    pub(super) fn token_manager(&self) -> &Arc<TokenManager> {
        &self.manager
    }

    /// What has been counted of the requests.
    #[must_use]
    pub fn metrics(&self) -> &RequestMetrics {
        &self.metrics
    }

    /// When the token in use ends; `None` if there is none, or Vault has not told.
    #[must_use]
    pub fn token_end(&self) -> Option<TokenExpiry> {
        self.manager.end()
    }

    /// Returns once Vault has accepted a token of the module's. That of a proxy, which nobody
    /// watches here, counts as accepted.
    pub async fn token_accepted(&self) {
        self.manager.accepted().await;
    }

    /// What the token in use is, as the end of a sentence: whose, and when it ends.
    #[must_use]
    pub fn token_description(&self) -> String {
        self.manager.description()
    }

    pub(super) fn mount(&self) -> &Mount {
        &self.mount
    }

    pub(super) fn notices(&self) -> &Notices {
        self.manager.notices()
    }

    /// Sends a request, and again with another token if this one turns out to be dead.
    ///
    /// # Errors
    /// [`VaultError::Denied`] for a 403 that is a policy's. [`VaultError::TokenInvalid`],
    /// [`VaultError::TokenRefused`] and [`VaultError::LoginRefused`] for a dead token with no
    /// other. What kept Vault from answering.
    pub async fn send(&self, request: &Request) -> Result<ServerResponse, VaultError> {
        self.send_after(None, request).await
    }

    /// The same for a read that must see everything that was written before Vault gave this index.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub(super) async fn send_after(
        &self,
        index: Option<&Index>,
        request: &Request,
    ) -> Result<ServerResponse, VaultError> {
        loop {
            let active = self.manager.token_for_request().await?;
            let answer = self.exchange(index, &active, request).await?;
            if answer.status != StatusCode::FORBIDDEN {
                active.set_worked();
                return Ok(answer);
            }
            if self.manager.after_forbidden(&active).await? == ForbiddenBy::Policy {
                return Err(denied(&answer));
            }
        }
    }

    /// Whether there are nodes beside the one in use.
    #[must_use]
    pub fn has_other_nodes(&self) -> bool {
        self.manager.cluster().has_others()
    }

    /// Sends a read to another node than the one in use. `None` if no other one answers it, also
    /// because it refuses.
    pub(super) async fn send_to_another_node(&self, request: &Request) -> Option<ServerResponse> {
        let active = self.manager.token_for_request().await.ok()?;
        let answer = self.manager.cluster().send_to_another(request, active.headers()).await;
        answer.filter(|answer| answer.status != StatusCode::FORBIDDEN)
    }

    /// What is mounted where the secrets should be.
    ///
    /// # Errors
    /// When Vault does not answer.
    pub async fn mounted(&self) -> Result<Mounted, VaultError> {
        match self.send(&mounts::request(&self.mount().to_string())).await {
            Ok(answer) => mounts::parse_response(self.mount(), &answer),
            Err(VaultError::Denied { .. }) => Ok(Mounted::Unknown),
            Err(error) => Err(error),
        }
    }

    /// Where a path is that has its mount in front; `None` if Vault does not tell the token.
    ///
    /// # Errors
    /// When Vault does not answer.
    pub async fn locate(&self, path: &FullPath) -> Result<Option<Located>, VaultError> {
        match self.send(&mounts::request(&path.to_string())).await {
            Ok(answer) => mounts::parse_located(path, &answer),
            Err(VaultError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn exchange(
        &self,
        index: Option<&Index>,
        active: &ActiveToken,
        request: &Request,
    ) -> Result<ServerResponse, VaultError> {
        let cluster = self.manager.cluster();
        let (Some(index), Some(token)) = (index, &active.token) else {
            return cluster.send(request, active.headers()).await;
        };
        let is_forwarded = self.forwards.load(Ordering::Relaxed);
        let after = RequestHeaders::TokenAfter { token, index, is_forwarded };
        let answer = cluster.send(request, after).await?;
        if !is_forwarded || answer.status != StatusCode::BAD_REQUEST {
            return Ok(answer);
        }
        // Vault Enterprise by default refuses with a 400 each request that asks for forwarding. The
        // request is sent again without that: a request that was answered with a 400 has changed
        // nothing. If there was another reason, Vault refuses again.
        let after = RequestHeaders::TokenAfter { token, index, is_forwarded: false };
        let again = cluster.send(request, after).await;
        let is_better = match &again {
            Ok(answer) => answer.status.is_success(),
            // The node does not have the write yet.
            Err(error) => matches!(error, VaultError::Unavailable { status: 412, .. }),
        };
        if is_better {
            self.forwards.store(false, Ordering::Relaxed);
        }
        again
    }
}

fn denied(answer: &ServerResponse) -> VaultError {
    VaultError::Denied { quote: super::error::quote(&answer.body) }
}
