//! The addresses of a cluster: each is asked by itself, and what it answers is Vault's or an error.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use url::Url;

use super::address::Address;
use super::answer_form;
use super::election::{HEALTH_TIMEOUT, Health, Role, SLOW_AFTER};
use super::error::VaultError;
use super::request::{Request, RequestKind};
use super::request_metrics::RequestMetrics;
use super::transport::{RequestHeaders, ServerResponse, Transport, unavailable};
use crate::http::TransportError;

/// What one address of the cluster is.
pub struct Node {
    /// The address.
    pub address: Address,
    /// The status of its health: <https://developer.hashicorp.com/vault/api-docs/system/health>
    pub health: Result<u16, VaultError>,
}

/// The addresses of one cluster, by their places in the configuration.
pub struct Nodes {
    transport: Arc<dyn Transport>,
    metrics: Arc<RequestMetrics>,
    addresses: Vec<Address>,
    /// By place, when it was asked whether the health there is Vault's, and whether it is not.
    health_checks: tokio::sync::Mutex<HashMap<usize, (Instant, bool)>>,
}

impl Nodes {
    /// Takes at least one address; connects to none.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        addresses: Vec<Address>,
        metrics: Arc<RequestMetrics>,
    ) -> Self {
        Self { transport, metrics, addresses, health_checks: tokio::sync::Mutex::default() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// The addresses, for messages.
    pub fn names(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// What is counted of the requests.
    pub fn metrics(&self) -> &RequestMetrics {
        &self.metrics
    }

    /// Changes whenever our client certificate does; `None` if it never does.
    pub fn identity_changes(&self) -> Option<watch::Receiver<u64>> {
        self.transport.identity_changes()
    }

    /// The place of the address that a URL leads to.
    pub fn place_of(&self, url: &Url) -> Option<usize> {
        self.addresses.iter().position(|known| known.has_origin_of(url))
    }

    /// What a node answers, if the answer is Vault's.
    ///
    /// # Errors
    /// Those of the transport, and those of an answer that is not Vault's.
    pub async fn answer_of(
        &self,
        index: usize,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Result<(ServerResponse, &Address), VaultError> {
        let Some(address) = self.addresses.get(index) else {
            return Err(VaultError::Unexpected("no address of Vault is configured".to_owned()));
        };
        let mut error = match self.exchange(address, request, headers).await {
            Ok(answer) => match answer_form::check(&address.to_string(), request, &answer) {
                Some(error) => error,
                None => match self.limit_at(index, address, &answer).await {
                    Some(error) => return Err(error),
                    None => return Ok((answer, address)),
                },
            },
            Err(error) => error,
        };
        let is_page = match &error {
            VaultError::ForeignAnswer { .. } => true,
            VaultError::NoAnswer { cause, .. } => matches!(cause, TransportError::TooLong(_)),
            _ => false,
        };
        if is_page && address.is_web_interface() {
            return Err(VaultError::WrongAddress(format!(
                "{address} is Vault's web interface and not its API; \
                 leave out the \"/ui\" in vault_url, and what follows it"
            )));
        }
        if let VaultError::ForeignAnswer { status, allows_stale, .. } = &mut error {
            // A limit on requests is no outage, and many logins can reach it.
            *allows_stale = *status != 429 && self.has_no_health_of_vaults(index, address).await;
        }
        Err(error)
    }

    /// The error of an answer by which a limit on requests is kept before Vault, which is there all the
    /// same: many logins can reach the limit, and make no outage by that.
    async fn limit_at(
        &self,
        index: usize,
        address: &Address,
        answer: &ServerResponse,
    ) -> Option<VaultError> {
        if !answer_form::may_be_of_a_limit(answer)
            || self.has_no_health_of_vaults(index, address).await
        {
            return None;
        }
        unavailable(answer, address).map(VaultError::of_a_limit)
    }

    /// Whether the health at an address is not Vault's either, so that something else is in its
    /// place. It is asked for once a second at most, however many requests want to know.
    async fn has_no_health_of_vaults(&self, index: usize, address: &Address) -> bool {
        let mut seen = self.health_checks.lock().await;
        if let Some((at, has_no_health_of_vaults)) = seen.get(&index)
            && at.elapsed() < SLOW_AFTER
        {
            return *has_no_health_of_vaults;
        }
        let answer = timeout(HEALTH_TIMEOUT, self.health_answer(address)).await;
        let has_no_health_of_vaults = !matches!(answer, Ok(Ok(answer))
            if answer_form::health(&answer).is_some() || answer.status.as_u16() == 429);
        seen.insert(index, (Instant::now(), has_no_health_of_vaults));
        has_no_health_of_vaults
    }

    /// What a node says of its health. One that `was_vaults` needs no body to stay the active one.
    pub async fn health_of(&self, index: usize, was_vaults: bool) -> Health {
        let Some(address) = self.addresses.get(index) else { return Health::Silent };
        let Ok(answer) = self.health_answer(address).await else { return Health::Silent };
        let status = answer.status.as_u16();
        let Some(body) = answer_form::health(&answer) else {
            return match status {
                200 if answer.body.is_empty() && was_vaults => Health::Serving(Role::Active),
                _ => Health::Foreign,
            };
        };
        match status {
            200 if !body.initialized || body.sealed => Health::NotServing,
            200 if !body.standby => Health::Serving(Role::Active),
            // 473: a standby of Vault Enterprise that serves reads.
            200 | 429 | 473 => Health::Serving(Role::Standby),
            _ => Health::NotServing,
        }
    }

    /// Asks every address for its health, whatever it says.
    pub async fn health_of_all(&self) -> Vec<Node> {
        let asking = self.addresses.iter().map(|address| async {
            let health = self.health_answer(address).await.and_then(|answer| {
                match answer_form::health(&answer) {
                    Some(_) => Ok(answer.status.as_u16()),
                    None => Err(answer_form::foreign_answer(&address.to_string(), &answer)),
                }
            });
            Node { address: address.clone(), health }
        });
        futures_util::future::join_all(asking).await
    }

    /// API: <https://developer.hashicorp.com/vault/api-docs/system/health>
    async fn health_answer(&self, address: &Address) -> Result<ServerResponse, VaultError> {
        let request = Request::get(RequestKind::Health, "sys/health");
        self.exchange(address, &request, RequestHeaders::Nothing).await
    }

    /// Sends a request to one address, and measures how long that takes.
    async fn exchange(
        &self,
        address: &Address,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Result<ServerResponse, VaultError> {
        let _timing = self.metrics.time(request.kind);
        self.transport.send(address, request, headers).await
    }
}
