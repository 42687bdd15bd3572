//! Requests with a token that is replaced when it dies.

use std::sync::Arc;

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
        Ok(Self { identity: Arc::new(identity), mount })
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
        let credentials = match index {
            Some(index) => Credentials::TokenAfter(&held.token, index),
            None => Credentials::Token(&held.token),
        };
        self.identity.cluster().send(endpoint, credentials).await
    }
}

fn denied(answer: &Answer) -> VaultError {
    VaultError::Denied { quote: super::error::quote(&answer.body) }
}
