//! The nodes of a cluster. Requests go to the active one while there is one.
//!
//! A standby answers reads itself, and late: what was written just before is not there yet. So it
//! is asked only while no node is active, as while the cluster elects a leader. Which node is used is
//! decided in [`election`](super::election).

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout_at};

use super::address::Address;
use super::election::{self, ChosenNode, Election, Reason, Report, Reports, Role, SLOW_AFTER};
use super::error::VaultError;
use super::request::{Request, RequestKind};
use super::request_metrics::RequestMetrics;
use super::transport::{RequestHeaders, ServerResponse, Transport, unavailable};
use crate::sync::Mutex;

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
            transport,
            metrics,
            addresses,
            chosen: Mutex::default(),
            electing: tokio::sync::Mutex::default(),
        }
    }

    /// The addresses, for messages.
    pub fn names(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
                // The caller decides whether to repeat what may have been done already. A wrapping
                // token, for example, works once.
                if second == first || (!is_read && error.may_have_applied()) {
                    return Err(error);
                }
                second
            }
        };
        self.metrics.retries.count();
        self.ask(second, request, headers).await
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
        // A standby names the leader. No token is sent to an address that is not configured.
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
                self.use_node(ChosenNode::new(leader, Role::Active, Instant::now()));
                Ok(answer)
            }
            _ => Err(error),
        }
    }

    /// The node to ask first. Starts an election in the background once that node was elected a while
    /// ago.
    async fn node_in_use(self: &Arc<Self>) -> usize {
        if self.addresses.len() < 2 {
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
        let nodes = self.addresses.len();
        let mut asking: FuturesUnordered<_> =
            (0..nodes).map(|index| async move { (index, self.role_of(index).await) }).collect();
        let mut reports = Reports { asked: Instant::now(), nodes, heard: Vec::new() };
        loop {
            match election::elect(&reports, reason, previous, Instant::now()) {
                Election::Elected(node) => return node,
                Election::Open { until } => {
                    if let Ok(Some((index, role))) = timeout_at(until, asking.next()).await {
                        reports.heard.push(Report { index, role, at: Instant::now() });
                    }
                }
            }
        }
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

    fn use_node(&self, node: ChosenNode) {
        *self.chosen.lock() = Some(node);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vault::fake::{FakeVault, Reply};

    const A: &str = "http://a:8200";
    const B: &str = "http://b:8200";
    const C: &str = "http://c:8200";
    const PATH: &str = "kv/entry";

    /// Three nodes, of which the first is active and answers.
    fn nodes() -> (FakeVault, Arc<Cluster>) {
        let vault = FakeVault::new();
        for node in [B, C] {
            vault.on(node, "sys/health", [Reply::health(429)]);
        }
        vault.on("", PATH, [Reply::json(200, "entry")]);
        let addresses = [A, B, C].map(|address| Address::parse(address).unwrap()).to_vec();
        let cluster = Cluster::new(vault.transport(), addresses, Arc::default());
        (vault, Arc::new(cluster))
    }

    async fn read(cluster: &Arc<Cluster>) -> Result<ServerResponse, VaultError> {
        let request = Request::get(RequestKind::Read, PATH);
        cluster.send(&request, RequestHeaders::Nothing).await
    }

    async fn write(cluster: &Arc<Cluster>) -> Result<ServerResponse, VaultError> {
        let request = Request::post(RequestKind::Other, PATH, None);
        cluster.send(&request, RequestHeaders::Nothing).await
    }

    /// The nodes that were asked for anything but their health, since this was asked last.
    fn asked(vault: &FakeVault) -> Vec<String> {
        let sent = vault.sent().into_iter().filter(|sent| sent.kind != RequestKind::Health);
        let asked = sent.map(|sent| sent.address).collect();
        vault.forget_sent();
        asked
    }

    /// The first node is asked for its health at each election.
    fn elections(vault: &FakeVault) -> usize {
        vault.sent_for(RequestKind::Health).iter().filter(|sent| sent.address == A).count()
    }

    /// A is gone, and B is the leader.
    fn fail_over(vault: &FakeVault) {
        vault.on(A, "", [Reply::unreachable()]);
        vault.on(B, "sys/health", [Reply::health(200)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_active_node_is_asked() {
        let (vault, cluster) = nodes();
        vault.on(A, "sys/health", [Reply::health(429)]);
        vault.on(C, "sys/health", [Reply::health(200).after(Duration::from_millis(900))]);
        read(&cluster).await.unwrap();
        read(&cluster).await.unwrap();
        assert_eq!(elections(&vault), 1);
        assert_eq!(asked(&vault), [C, C]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_node_is_not_asked_for_its_health() {
        let vault = FakeVault::new();
        vault.on("", PATH, [Reply::unreachable()]);
        let addresses = vec![Address::parse(A).unwrap()];
        let cluster = Arc::new(Cluster::new(vault.transport(), addresses, Arc::default()));
        read(&cluster).await.err().unwrap();
        assert_eq!(elections(&vault), 0);
        assert_eq!(asked(&vault), [A]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_failures_start_one_election() {
        let (vault, cluster) = nodes();
        read(&cluster).await.unwrap();
        asked(&vault);
        fail_over(&vault);
        vault.on(A, PATH, [Reply::unreachable().after(Duration::from_millis(10))]);
        let reads = futures_util::future::join_all((0..20).map(|_| read(&cluster))).await;
        assert!(reads.iter().all(Result::is_ok));
        assert_eq!(elections(&vault), 1);
        assert_eq!(asked(&vault), [[A; 20], [B; 20]].concat());
        assert_eq!(cluster.metrics.retries.get(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_standby_is_asked_while_there_is_no_leader() {
        let (vault, cluster) = nodes();
        read(&cluster).await.unwrap();
        vault.on(A, "", [Reply::unreachable()]);
        let began = Instant::now();
        read(&cluster).await.unwrap();
        // All have reported, so the grace for an active node need not pass.
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(asked(&vault), [A, A, B]);
        // The next read but one second later looks for an active node in the background.
        vault.on(C, "sys/health", [Reply::health(200)]);
        sleep(Duration::from_millis(1001)).await;
        read(&cluster).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        read(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [B, C]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_leaves_a_node_that_hangs_altogether() {
        let (vault, cluster) = nodes();
        read(&cluster).await.unwrap();
        vault.on(A, "", [Reply::hang()]);
        vault.on(B, "sys/health", [Reply::health(200)]);
        let began = Instant::now();
        read(&cluster).await.unwrap();
        assert_eq!(began.elapsed(), SLOW_AFTER);
        assert_eq!(asked(&vault), [A, A, B]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_waits_for_a_node_that_is_slow_and_healthy() {
        let (vault, cluster) = nodes();
        vault.on(A, PATH, [Reply::json(200, "entry").after(Duration::from_millis(3500))]);
        let began = Instant::now();
        read(&cluster).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(3500));
        // It is asked for its health once a second meanwhile, after the election at the start.
        assert_eq!(elections(&vault), 1 + 3);
        assert_eq!(asked(&vault), [A]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_done_is_not_repeated() {
        let (vault, cluster) = nodes();
        vault.on(A, PATH, [Reply::broken(), Reply::unreachable(), Reply::hang()]);
        let error = write(&cluster).await.err().unwrap();
        assert!(error.may_have_applied());
        assert_eq!(asked(&vault), [A]);
        // A is active by its health, and has just failed.
        vault.on(A, "sys/health", [Reply::health(200)]);
        cluster.use_node(ChosenNode::new(0, Role::Active, Instant::now()));
        write(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [A, B]);
        cluster.use_node(ChosenNode::new(0, Role::Active, Instant::now()));
        let error = write(&cluster).await.err().unwrap();
        assert!(error.may_have_applied());
        assert_eq!(asked(&vault), [A]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_redirect_leads_to_configured_addresses_only() {
        let (vault, cluster) = nodes();
        read(&cluster).await.unwrap();
        asked(&vault);
        let to =
            |url: &str| Reply::text(307, "text/plain", String::new()).with_header("location", url);
        vault.on(
            A,
            PATH,
            [to("http://c:8200/v1/kv/entry"), to("http://elsewhere:8200/v1/kv/entry")],
        );
        read(&cluster).await.unwrap();
        read(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [A, C, C]);
        cluster.use_node(ChosenNode::new(0, Role::Active, Instant::now()));
        vault.on(B, "sys/health", [Reply::health(200)]);
        read(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [A, B]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_the_clusters_and_a_seal_is_the_nodes() {
        let (vault, cluster) = nodes();
        vault.on(A, PATH, [Reply::errors(429, &["slow down"]), Reply::errors(503, &["sealed"])]);
        let error = read(&cluster).await.err().unwrap();
        assert!(matches!(error, VaultError::Unavailable { status: 429, .. }));
        assert_eq!(asked(&vault), [A]);
        read(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [A, B]);
    }

    #[tokio::test(start_paused = true)]
    async fn if_no_node_reports_its_health_they_are_asked_in_turn() {
        let (vault, cluster) = nodes();
        vault.on("", "sys/health", [Reply::hang()]);
        vault.on("", PATH, [Reply::errors(503, &[])]);
        for _ in 0..3 {
            read(&cluster).await.err().unwrap();
        }
        assert_eq!(asked(&vault), [A, B, B, C, C, A]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_active_node_is_checked_every_five_seconds() {
        let (vault, cluster) = nodes();
        for _ in 0..120 {
            read(&cluster).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        // At the first read, and then after more than five seconds each.
        assert_eq!(elections(&vault), 3);
        assert_eq!(asked(&vault).len(), 120);
    }
}
