//! Requests with a token that is replaced when it dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use rustify::endpoint::Endpoint;

use super::cluster::Cluster;
use super::identity::{Held, Identity};
use super::transport::{Answer, Credentials, Index, Transport};
use super::{End, Mount, Traffic, VaultError, lifetime};
use crate::notice::Notices;
use crate::settings::VaultSettings;

/// A Vault cluster, and who we are to it.
pub struct Client {
    identity: Arc<Identity>,
    mount: Mount,
    /// Whether nodes ask the active one for us, as far as is known.
    forwards: AtomicBool,
}

impl Client {
    /// Prepares the connections; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: &VaultSettings, notices: Notices) -> Result<Self, VaultError> {
        let transport = Transport::new(settings)?;
        let cluster = Arc::new(Cluster::new(transport, settings.addresses.clone()));
        let mount = settings.mount.clone();
        let identity = Identity::new(settings.source.clone(), cluster, mount.clone(), notices);
        Ok(Self { identity: Arc::new(identity), mount, forwards: AtomicBool::new(true) })
    }

    /// Keeps the token alive; never returns. Run it beside everything else.
    pub fn keep_alive(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        lifetime::keep_alive(Arc::clone(&self.identity))
    }

    /// The cluster's addresses, for messages.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.identity.cluster().names()
    }

    pub(super) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What has been counted of the requests.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        self.identity.cluster().traffic()
    }

    /// When the token in use ends; `None` if there is none, or it may not know.
    #[must_use]
    pub fn token_end(&self) -> Option<End> {
        self.identity.end()
    }

    pub(super) fn mount(&self) -> &Mount {
        &self.mount
    }

    pub(super) fn notices(&self) -> &Notices {
        self.identity.notices()
    }

    /// Sends a request; once more with another token if this one turns out to be dead.
    ///
    /// # Errors
    /// [`VaultError::Denied`] for a 403 that is a policy's, [`VaultError::TokenInvalid`] and
    /// [`VaultError::LoginRefused`] for a dead token with no other, and what kept Vault from
    /// answering.
    pub async fn send<E: Endpoint>(&self, endpoint: &E) -> Result<Answer, VaultError> {
        self.send_after(None, endpoint).await
    }

    /// The same, for one who must see what had been written when Vault gave this index.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub(super) async fn send_after<E: Endpoint>(
        &self,
        index: Option<&Index>,
        endpoint: &E,
    ) -> Result<Answer, VaultError> {
        let held = self.identity.token().await?;
        let answer = self.exchange(index, &held, endpoint).await?;
        if answer.status.as_u16() != 403 {
            return Ok(answer);
        }
        let Some(other) = self.identity.after_forbidden(&held).await? else {
            return Err(denied(&answer));
        };
        let answer = self.exchange(index, &other, endpoint).await?;
        if answer.status.as_u16() != 403 {
            return Ok(answer);
        }
        self.identity.after_forbidden_again(&other).await?;
        Err(denied(&answer))
    }

    async fn exchange<E: Endpoint>(
        &self,
        index: Option<&Index>,
        held: &Held,
        endpoint: &E,
    ) -> Result<Answer, VaultError> {
        let (cluster, token) = (self.identity.cluster(), &held.token);
        let Some(index) = index else {
            return cluster.send(endpoint, Credentials::Token(token)).await;
        };
        let is_forwarded = self.forwards.load(Ordering::Relaxed);
        let after = Credentials::TokenAfter { token, index, is_forwarded };
        let answer = cluster.send(endpoint, after).await?;
        if !is_forwarded || answer.status != StatusCode::BAD_REQUEST {
            return Ok(answer);
        }
        // Vault Enterprise refuses so, by default, whatever asks for forwarding. If that was not
        // the reason, it refuses again: of what is answered with a 400 nothing has been done.
        let after = Credentials::TokenAfter { token, index, is_forwarded: false };
        let again = cluster.send(endpoint, after).await;
        let is_better = match &again {
            Ok(answer) => answer.status.is_success(),
            // The node has not come as far, and says so.
            Err(error) => matches!(error, VaultError::Unavailable { status: 412, .. }),
        };
        if is_better {
            self.forwards.store(false, Ordering::Relaxed);
        }
        again
    }
}

fn denied(answer: &Answer) -> VaultError {
    VaultError::Denied { quote: super::error::quote(&answer.body) }
}
