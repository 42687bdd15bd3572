//! The nodes of a cluster. Requests go to the active one while there is one.
//!
//! A standby answers reads itself, and late: what was written just before is not there yet. So it
//! is asked only while no node is active, as while the cluster elects a leader. Which node is used
//! is decided in [`election`](super::election).

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::Address;
use super::election::{
    self, ChosenNode, Election, HEALTH_TIMEOUT, Health, Reason, Report, Reports, Role, SLOW_AFTER,
};
use super::error::VaultError;
use super::nodes::{Node, Nodes};
use super::request::Request;
use super::request_metrics::RequestMetrics;
use super::transport::{RequestHeaders, ServerResponse, Transport, unavailable};
use crate::http::TransportError;
use crate::sync::Mutex;

/// The addresses of one cluster, and the one in use.
pub struct Cluster {
    nodes: Nodes,
    chosen: Mutex<Option<ChosenNode>>,
    /// Held while nodes are asked for their health, so that many failures start one election.
    electing: tokio::sync::Mutex<()>,
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
            nodes: Nodes::new(transport, addresses, metrics),
            chosen: Mutex::default(),
            electing: tokio::sync::Mutex::default(),
        }
    }

    /// The addresses, for messages.
    pub fn names(&self) -> String {
        self.nodes.names()
    }

    /// Changes whenever our client certificate does; `None` if it never does.
    pub fn identity_changes(&self) -> Option<watch::Receiver<u64>> {
        self.nodes.identity_changes()
    }

    /// Sends a request to the node in use. If that fails, another node is elected and asked. A read
    /// does not wait for a node that reports no health either.
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
        let has_others = self.has_others();
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
        let (second, first_error) = match silent_or_failed {
            Ok(second) => (second, None),
            Err(error) => {
                let reason = match &error {
                    VaultError::NoAnswer { cause: TransportError::TimedOut { .. }, .. } => {
                        Reason::TimedOut(first)
                    }
                    _ => Reason::Failed(first),
                };
                let second = self.choose(reason).await;
                // The caller decides whether to repeat what may have been done already. A wrapping
                // token, for example, works once.
                if second == first || (!is_read && error.may_have_applied()) {
                    return Err(error);
                }
                (second, Some(error))
            }
        };
        self.nodes.metrics().retries.count();
        let answer = self.ask(second, request, headers).await;
        match (first_error, answer) {
            // A secret in memory may decide only if the errors of both nodes allow it.
            (Some(first), Err(error)) if error.allows_stale() && !first.allows_stale() => {
                Err(first)
            }
            (_, answer) => answer,
        }
    }

    /// Whether there are nodes beside the one in use.
    pub fn has_others(&self) -> bool {
        self.nodes.count() > 1
    }

    /// Sends a request to another node than the one in use, which takes long: the first that
    /// serves. `None` if no other one answers. It may not have what was written just before.
    pub async fn send_to_another(
        &self,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Option<ServerResponse> {
        let in_use = self.chosen.lock().as_ref()?.index;
        let mut reporting: FuturesUnordered<_> = (0..self.nodes.count())
            .filter(|index| *index != in_use)
            .map(|index| async move {
                (index, timeout(HEALTH_TIMEOUT, self.nodes.health_of(index, false)).await)
            })
            .collect();
        while let Some((index, health)) = reporting.next().await {
            if matches!(health, Ok(Health::Serving(_)))
                && let Ok((answer, address)) = self.nodes.answer_of(index, request, headers).await
                && unavailable(&answer, address).is_none()
            {
                return Some(answer);
            }
        }
        None
    }

    /// Waits until the node that was asked has taken long and another one is elected in its place,
    /// and returns that one.
    async fn instead_of_silent(self: &Arc<Self>, first: usize) -> usize {
        loop {
            sleep(SLOW_AFTER).await;
            // A task of its own: others need the result also if this request is given up.
            let cluster = Arc::clone(self);
            let chosen = tokio::spawn(async move { cluster.choose(Reason::Slow(first)).await });
            match chosen.await {
                Ok(second) if second != first => return second,
                // The node is healthy and takes its time, or there is no better one.
                _ => {}
            }
        }
    }

    /// Asks one node, and the leader if that node names it.
    async fn ask(
        &self,
        index: usize,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Result<ServerResponse, VaultError> {
        let (answer, address) = self.nodes.answer_of(index, request, headers).await?;
        let Some(error) = unavailable(&answer, address) else { return Ok(answer) };
        // A standby names the leader. No token is sent to an address that is not configured.
        let leader = answer
            .location
            .as_ref()
            .and_then(|target| self.nodes.place_of(target))
            .filter(|leader| *leader != index)
            .ok_or(error)?;
        let (answer, address) = self.nodes.answer_of(leader, request, headers).await?;
        if let Some(error) = unavailable(&answer, address) {
            return Err(error);
        }
        self.use_node(ChosenNode::new(leader, Role::Active, Instant::now()));
        Ok(answer)
    }

    /// The node to ask first. Starts an election in the background once that node was elected a
    /// while ago.
    async fn node_in_use(self: &Arc<Self>) -> usize {
        if !self.has_others() {
            return 0;
        }
        let in_use = self
            .chosen
            .lock()
            .as_mut()
            .map(|node| (node.index, node.is_to_be_checked(Instant::now())));
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

    /// Has a node elected, unless another one's election has ended meanwhile, and returns it.
    async fn choose(&self, reason: Reason) -> usize {
        let wanted = Instant::now();
        let _electing = self.electing.lock().await;
        let previous = *self.chosen.lock();
        if let Some(node) = previous
            && node.is_answer_to(reason, wanted, Instant::now())
        {
            return node.index;
        }
        let elected = self.elect(reason, previous).await;
        self.use_node(elected);
        elected.index
    }

    /// Asks all nodes for their health until the election is decided.
    async fn elect(&self, reason: Reason, previous: Option<ChosenNode>) -> ChosenNode {
        let nodes = self.nodes.count();
        // The node in use has reported in full before, and its status alone is enough to keep it.
        let was_vaults = previous.filter(|previous| previous.role != Role::Unknown);
        let was_vaults = was_vaults.map(|previous| previous.index);
        let mut asking: FuturesUnordered<_> = (0..nodes)
            .map(|index| async move {
                (index, self.nodes.health_of(index, was_vaults == Some(index)).await)
            })
            .collect();
        let mut reports = Reports { asked: Instant::now(), nodes, heard: Vec::new() };
        loop {
            match election::elect(&reports, reason, previous, Instant::now()) {
                Election::Elected(node) => return node,
                Election::Open { until } => {
                    if let Ok(Some((index, health))) = timeout_at(until, asking.next()).await {
                        reports.heard.push(Report { index, health, at: Instant::now() });
                    }
                }
            }
        }
    }

    /// Asks every address for its health, whatever it says.
    pub async fn health_of_all(&self) -> Vec<Node> {
        self.nodes.health_of_all().await
    }

    fn use_node(&self, node: ChosenNode) {
        *self.chosen.lock() = Some(node);
    }
}

#[cfg(test)]
mod tests;
