//! Which node of a cluster is asked: the active one while there is one.
//!
//! A standby answers reads itself, and late: what was written just before is not there yet. So it
//! is asked only while no node is active, as during an election.

use std::pin::pin;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout_at};

use super::address::Address;
use super::error::VaultError;
use super::request::{Request, RequestKind};
use super::request_metrics::RequestMetrics;
use super::transport::{RequestHeaders, ServerResponse, Transport, unavailable};
use crate::sync::Mutex;

/// How often it is checked, as requests come, that the node in use is still the active one.
const ACTIVE_CHECKED_EVERY: Duration = Duration::from_secs(5);

/// How often an active node is looked for, as requests come, while a standby is in use.
const STANDBY_CHECKED_EVERY: Duration = Duration::from_secs(1);

/// How long one node may take to tell its health.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a read may take until its node has to tell its health, and how often from then on.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// How much longer an active node is waited for once a standby has answered: while a request waits
/// that has failed, and before the first request.
const GRACE_AFTER_FAILURE: Duration = Duration::from_millis(250);
const GRACE_AT_FIRST: Duration = Duration::from_secs(1);

/// What one address of the cluster is.
pub struct Node {
    /// The address.
    pub address: Address,
    /// The status of its health: <https://developer.hashicorp.com/vault/api-docs/system/health>
    pub health: Result<u16, VaultError>,
}

/// The addresses of one cluster, and the one in use.
pub struct Cluster {
    transport: Arc<dyn Transport>,
    metrics: Arc<RequestMetrics>,
    addresses: Vec<Address>,
    chosen: Mutex<Option<Choice>>,
    /// Held while nodes are asked for their health, so that a failure starts one round.
    choosing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy)]
struct Choice {
    index: usize,
    role: Role,
    /// When nodes were last asked for their health.
    asked: Instant,
    /// When somebody last set out to check it.
    checked: Instant,
    /// When it was chosen again although it had failed, as there was no other.
    despite_failure: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Active,
    Standby,
    /// None said that it is either; somebody has to be asked.
    Unknown,
}

/// Why nodes are asked for their health.
#[derive(Clone, Copy)]
enum Reason {
    /// None is in use yet.
    First,
    /// A request to this one failed.
    Failed(usize),
    /// A request to this one takes long.
    Slow(usize),
    /// It is time to look whether there is a better one.
    Routine,
}

impl Choice {
    /// Whether it has aged. Says so once: whoever hears it sets out to check.
    fn is_to_be_checked(&mut self) -> bool {
        let good_for = match self.role {
            Role::Active => ACTIVE_CHECKED_EVERY,
            Role::Standby | Role::Unknown => STANDBY_CHECKED_EVERY,
        };
        let is_due = self.checked.elapsed() > good_for;
        if is_due {
            self.checked = Instant::now();
        }
        is_due
    }
}

impl Cluster {
    /// Takes at least one address; connects to none.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        addresses: Vec<Address>,
        metrics: Arc<RequestMetrics>,
    ) -> Self {
        Self {
            transport,
            metrics,
            addresses,
            chosen: Mutex::default(),
            choosing: tokio::sync::Mutex::default(),
        }
    }

    /// The addresses, for messages.
    pub fn names(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Sends a request to the node in use, and if it fails, to the one that takes its place. A read
    /// does not wait for a node that is silent altogether.
    ///
    /// # Errors
    /// Those of the transport, and [`VaultError::Unavailable`] for answers that say "not now".
    pub async fn send(
        self: &Arc<Self>,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Result<ServerResponse, VaultError> {
        let first = self.node_in_use().await;
        let is_read = request.is_read();
        let has_others = self.addresses.len() > 1;
        let silent_or_failed = {
            let asking = pin!(self.ask(first, request, headers));
            tokio::select! {
                biased;
                answer = asking => match answer {
                    Err(error) if has_others && error.is_of_the_node() => Err(error),
                    answer => return answer,
                },
                second = self.instead_of_silent(first), if has_others && is_read => Ok(second),
            }
        };
        let second = match silent_or_failed {
            Ok(second) => second,
            Err(error) => {
                let second = self.choose(Reason::Failed(first)).await;
                // What may have been done already is not done again behind the caller's back: a
                // wrapping token, for one, works once.
                if second == first || (!is_read && error.may_have_applied()) {
                    return Err(error);
                }
                second
            }
        };
        self.metrics.retries.count();
        self.ask(second, request, headers).await
    }

    /// Another node than the one that was asked, once this one has not answered for a while and
    /// does not tell its health either. Until then, comes to no end.
    async fn instead_of_silent(self: &Arc<Self>, first: usize) -> usize {
        loop {
            sleep(SLOW_AFTER).await;
            // By itself: it is of use to others also if the one who waits gives up.
            let cluster = Arc::clone(self);
            let chosen = tokio::spawn(async move { cluster.choose(Reason::Slow(first)).await });
            match chosen.await {
                Ok(second) if second != first => return second,
                // The node is well and takes its time, or there is no better one.
                _ => {}
            }
        }
    }

    async fn ask(
        &self,
        index: usize,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Result<ServerResponse, VaultError> {
        let Some(address) = self.addresses.get(index) else {
            return Err(VaultError::Unexpected("no address of Vault is configured".to_owned()));
        };
        let answer = self.exchange(address, request, headers).await?;
        let Some(error) = unavailable(&answer, address) else { return Ok(answer) };
        // A standby names the leader. To an address that was not configured no token is sent.
        let leader = answer
            .location
            .as_ref()
            .and_then(|target| self.addresses.iter().position(|known| known.has_origin_of(target)));
        match leader.and_then(|leader| Some((leader, self.addresses.get(leader)?))) {
            Some((leader, address)) if leader != index => {
                let answer = self.exchange(address, request, headers).await?;
                if let Some(error) = unavailable(&answer, address) {
                    return Err(error);
                }
                self.use_node(leader, Role::Active, None);
                Ok(answer)
            }
            _ => Err(error),
        }
    }

    /// The node to ask first. Looks around in the background once the choice has aged.
    async fn node_in_use(self: &Arc<Self>) -> usize {
        if self.addresses.len() < 2 {
            return 0;
        }
        let in_use = self.chosen().as_mut().map(|choice| (choice.index, choice.is_to_be_checked()));
        match in_use {
            None => self.choose(Reason::First).await,
            Some((index, false)) => index,
            Some((index, true)) => {
                let cluster = Arc::clone(self);
                tokio::spawn(async move { cluster.choose(Reason::Routine).await });
                index
            }
        }
    }

    /// Asks all nodes for their health, unless another one has just done so, and returns the one
    /// to use.
    async fn choose(&self, reason: Reason) -> usize {
        let asked = Instant::now();
        let _choosing = self.choosing.lock().await;
        let former = *self.chosen();
        if let Some(choice) = former {
            let is_done = match reason {
                Reason::First => true,
                Reason::Failed(index) => {
                    choice.index != index || choice.despite_failure.is_some_and(|at| at > asked)
                }
                Reason::Slow(index) => choice.index != index || choice.asked.elapsed() < SLOW_AFTER,
                Reason::Routine => choice.asked > asked,
            };
            if is_done {
                return choice.index;
            }
        }
        let in_use = former.map(|choice| choice.index);
        let found = self.healthiest(reason, in_use).await;
        let (index, role) = match (found, reason, former) {
            (Some(found), ..) => found,
            // Nobody tells: go round, so that the next failure is another node's.
            (None, Reason::Failed(index), _) => ((index + 1) % self.addresses.len(), Role::Unknown),
            // Nothing has failed: stay.
            (None, _, Some(former)) => (former.index, former.role),
            (None, _, None) => (0, Role::Unknown),
        };
        let despite_failure = match (reason, former) {
            (Reason::Failed(failed), _) => (index == failed).then(Instant::now),
            (_, Some(former)) if former.index == index => former.despite_failure,
            _ => None,
        };
        self.use_node(index, role, despite_failure);
        index
    }

    /// The active node, or else a standby, at best the one in use; one that has just failed only if
    /// there is no other.
    async fn healthiest(&self, reason: Reason, in_use: Option<usize>) -> Option<(usize, Role)> {
        let mut asked: FuturesUnordered<_> = (0..self.addresses.len())
            .map(|index| async move { (index, self.role_of(index).await) })
            .collect();
        let failed = match reason {
            Reason::Failed(index) => Some(index),
            Reason::First | Reason::Slow(_) | Reason::Routine => None,
        };
        let mut second_best = None;
        let mut last_resort = None;
        let mut deadline = Instant::now() + HEALTH_TIMEOUT;
        while let Ok(Some((index, role))) = timeout_at(deadline, asked.next()).await {
            match role {
                Some(role) if Some(index) == failed => last_resort = Some((index, role)),
                Some(Role::Active) => return Some((index, Role::Active)),
                Some(role) if second_best.is_none() || Some(index) == in_use => {
                    second_best = Some((index, role));
                    let grace = match reason {
                        Reason::First => GRACE_AT_FIRST,
                        Reason::Failed(_) => GRACE_AFTER_FAILURE,
                        Reason::Slow(_) | Reason::Routine => HEALTH_TIMEOUT,
                    };
                    deadline = deadline.min(Instant::now() + grace);
                }
                _ => {}
            }
        }
        second_best.or(last_resort)
    }

    async fn role_of(&self, index: usize) -> Option<Role> {
        let address = self.addresses.get(index)?;
        let answer = self.health_of(address).await.ok()?;
        match answer.status.as_u16() {
            200 => Some(Role::Active),
            // 473: a standby of Vault Enterprise that serves reads.
            429 | 473 => Some(Role::Standby),
            _ => None,
        }
    }

    /// Asks every address for its health, whatever it says.
    pub async fn health_of_all(&self) -> Vec<Node> {
        let asking = self.addresses.iter().map(|address| async {
            let health = self.health_of(address).await.map(|answer| answer.status.as_u16());
            Node { address: address.clone(), health }
        });
        futures_util::future::join_all(asking).await
    }

    /// API: <https://developer.hashicorp.com/vault/api-docs/system/health>
    async fn health_of(&self, address: &Address) -> Result<ServerResponse, VaultError> {
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

    fn use_node(&self, index: usize, role: Role, despite_failure: Option<Instant>) {
        let now = Instant::now();
        *self.chosen() = Some(Choice { index, role, asked: now, checked: now, despite_failure });
    }

    fn chosen(&self) -> MutexGuard<'_, Option<Choice>> {
        self.chosen.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::fake::{FakeVault, Reply};

    const A: &str = "http://a:8200";
    const B: &str = "http://b:8200";

    fn cluster(vault: &FakeVault, addresses: &[&str]) -> Arc<Cluster> {
        let addresses = addresses.iter().map(|address| Address::parse(address).unwrap()).collect();
        Arc::new(Cluster::new(vault.transport(), addresses, Arc::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_active_node_is_asked() {
        let vault = FakeVault::new();
        vault.on(A, "sys/health", [Reply::health(429)]);
        let cluster = cluster(&vault, &[A, B]);
        let request = Request::get(RequestKind::Read, "kv/a");
        cluster.send(&request, RequestHeaders::Nothing).await.unwrap();
        let asked = vault.sent_for(RequestKind::Read);
        assert_eq!(asked.iter().map(|sent| sent.address.as_str()).collect::<Vec<_>>(), [B]);
    }
}
