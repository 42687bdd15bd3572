//! The nodes of a cluster. Requests go to the active one while there is one.
//!
//! A standby answers reads itself, and late: what was written just before is not there yet. So it
//! is asked only while no node is active, as while the cluster elects a leader. Which node is used is
//! decided in [`election`](super::election).

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::Address;
use super::answer_form;
use super::election::{
    self, ChosenNode, Election, HEALTH_TIMEOUT, Health, Reason, Report, Reports, Role, SLOW_AFTER,
};
use super::error::VaultError;
use super::request::{Request, RequestKind};
use super::request_metrics::RequestMetrics;
use super::transport::{RequestHeaders, ServerResponse, Transport, unavailable};
use crate::http::TransportError;
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
    /// By address, when it was asked whether its health is Vault's, and whether it is not.
    health_checks: tokio::sync::Mutex<HashMap<usize, (Instant, bool)>>,
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
            health_checks: tokio::sync::Mutex::default(),
        }
    }

    /// The addresses, for messages.
    pub fn names(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Changes whenever our client certificate does; `None` if it never does.
    pub fn identity_changes(&self) -> Option<watch::Receiver<u64>> {
        self.transport.identity_changes()
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
        self.metrics.retries.count();
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
        self.addresses.len() > 1
    }

    /// Sends a request to another node than the one in use, which takes long: the first that serves.
    /// `None` if no other one answers. It may not have what was written just before.
    pub async fn send_to_another(
        &self,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Option<ServerResponse> {
        let in_use = self.chosen.lock().as_ref()?.index;
        let mut reporting: FuturesUnordered<_> = (0..self.addresses.len())
            .filter(|index| *index != in_use)
            .map(|index| async move {
                (index, timeout(HEALTH_TIMEOUT, self.health_of(index, None)).await)
            })
            .collect();
        while let Some((index, health)) = reporting.next().await {
            if matches!(health, Ok(Health::Serving(_)))
                && let Ok((answer, address)) = self.answer_of(index, request, headers).await
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
        let (answer, address) = self.answer_of(index, request, headers).await?;
        let Some(error) = unavailable(&answer, address) else { return Ok(answer) };
        // A standby names the leader. No token is sent to an address that is not configured.
        let leader = answer
            .location
            .as_ref()
            .and_then(|target| self.addresses.iter().position(|known| known.has_origin_of(target)))
            .filter(|leader| *leader != index)
            .ok_or(error)?;
        let (answer, address) = self.answer_of(leader, request, headers).await?;
        if let Some(error) = unavailable(&answer, address) {
            return Err(error);
        }
        self.use_node(ChosenNode::new(leader, Role::Active, Instant::now()));
        Ok(answer)
    }

    /// What a node answers, if the answer is Vault's.
    async fn answer_of(
        &self,
        index: usize,
        request: &Request,
        headers: RequestHeaders<'_>,
    ) -> Result<(ServerResponse, &Address), VaultError> {
        let Some(address) = self.addresses.get(index) else {
            return Err(VaultError::Unexpected("no address of Vault is configured".to_owned()));
        };
        let error = match self.exchange(address, request, headers).await {
            Ok(answer) => match answer_form::check(&address.to_string(), request, &answer) {
                Some(error) => error,
                None => return Ok((answer, address)),
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
        Err(match error {
            VaultError::ForeignAnswer {
                address: name, status, content_type, retry_after, ..
            } => {
                // A limit on requests is no outage, and many logins can reach it.
                let allows_stale =
                    status != 429 && self.has_no_health_of_vaults(index, address).await;
                let address = name;
                VaultError::ForeignAnswer {
                    address,
                    status,
                    content_type,
                    retry_after,
                    allows_stale,
                }
            }
            error => error,
        })
    }

    /// Whether the health at an address is not Vault's either, so that something else is in its place.
    /// It is asked for once a second at most, however many requests want to know.
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
        let mut asking: FuturesUnordered<_> = (0..nodes)
            .map(|index| async move { (index, self.health_of(index, previous).await) })
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

    async fn health_of(&self, index: usize, previous: Option<ChosenNode>) -> Health {
        let Some(address) = self.addresses.get(index) else { return Health::Silent };
        let Ok(answer) = self.health_answer(address).await else { return Health::Silent };
        let status = answer.status.as_u16();
        let Some(body) = answer_form::health(&answer) else {
            // The node in use has reported in full before, and its status alone is enough to keep it.
            let was_vaults = previous
                .is_some_and(|previous| previous.index == index && previous.role != Role::Unknown);
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

    fn entry() -> Reply {
        Reply::entry(1, &serde_json::json!({"login_secret": "s"}))
    }

    /// Three nodes, of which the first is active and answers.
    fn nodes() -> (FakeVault, Arc<Cluster>) {
        let vault = FakeVault::new();
        for node in [B, C] {
            vault.on(node, "sys/health", [Reply::health(429)]);
        }
        vault.on("", PATH, [entry()]);
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
    async fn an_active_node_that_hangs_is_not_replaced_by_a_standby() {
        let (vault, cluster) = nodes();
        vault.on(A, PATH, [Reply::hang()]);
        let error = read(&cluster).await.err().unwrap();
        assert!(matches!(
            error,
            VaultError::NoAnswer { cause: TransportError::TimedOut { .. }, .. }
        ));
        assert_eq!(asked(&vault), [A]);
    }

    #[tokio::test(start_paused = true)]
    async fn another_node_is_one_that_serves() {
        let (vault, cluster) = nodes();
        read(&cluster).await.unwrap();
        asked(&vault);
        vault.on(B, "sys/health", [Reply::health(503)]);
        let request = Request::get(RequestKind::Read, PATH);
        let another = || cluster.send_to_another(&request, RequestHeaders::Nothing);
        another().await.unwrap();
        assert_eq!(asked(&vault), [C]);
        vault.on(B, "sys/health", [Reply::health(429)]);
        vault.on(B, PATH, [Reply::unreachable()]);
        another().await.unwrap();
        assert_eq!(asked(&vault), [B, C]);
        vault.on(C, "", [Reply::unreachable()]);
        assert!(another().await.is_none());
        assert_eq!(asked(&vault), [B]);
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
        vault.on(A, PATH, [entry().after(Duration::from_millis(3500))]);
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

    const PAGE: &str = "<html>";

    fn page(status: u16) -> Reply {
        Reply::text(status, "text/html", PAGE.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_web_server_among_the_nodes_gets_no_token() {
        for status in [200, 400, 403, 404] {
            for health in [page(status), Reply::json(status, serde_json::json!({"status": "ok"}))] {
                let (vault, cluster) = nodes();
                vault.on(A, "", [page(status)]);
                vault.on(A, "sys/health", [health]);
                vault.on(C, "sys/health", [Reply::health(200)]);
                for _ in 0..3 {
                    read(&cluster).await.unwrap();
                }
                assert_eq!(asked(&vault), [C, C, C]);
                // Nor while Vault itself is sealed.
                for node in [B, C] {
                    vault.on(node, "", [Reply::errors(503, &["sealed"])]);
                    vault.on(node, "sys/health", [Reply::health(503)]);
                }
                for _ in 0..5 {
                    read(&cluster).await.err().unwrap();
                    sleep(Duration::from_secs(3)).await;
                }
                assert!(!asked(&vault).contains(&A.to_owned()));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_health_without_a_body_keeps_a_node_and_makes_none() {
        let (vault, cluster) = nodes();
        let blank = Reply::text(200, "text/plain", String::new());
        vault.on(B, "sys/health", [blank.clone()]);
        read(&cluster).await.unwrap();
        vault.on(A, "sys/health", [blank]);
        for _ in 0..3 {
            sleep(Duration::from_secs(6)).await;
            read(&cluster).await.unwrap();
        }
        assert_eq!(asked(&vault), [A; 4]);
        vault.on(A, "", [Reply::unreachable()]);
        read(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [A, C]);
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_whose_health_is_hidden_are_asked_if_there_are_no_others() {
        let (vault, cluster) = nodes();
        vault.on("", "sys/health", [page(404)]);
        read(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [A]);
        vault.on(A, PATH, [Reply::unreachable()]);
        read(&cluster).await.unwrap();
        assert_eq!(asked(&vault), [A, B]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_vaults_is_asked_for_elsewhere() {
        for status in [200, 400, 403, 404, 429] {
            let (vault, cluster) = nodes();
            vault.on(A, PATH, [page(status)]);
            read(&cluster).await.unwrap();
            assert_eq!(asked(&vault), [A, B], "{status}");
        }
    }

    /// The error of a read that one node answers like this, with this health.
    async fn error_of(reply: Reply, health: Reply) -> (FakeVault, VaultError) {
        let vault = FakeVault::new();
        vault.on("", PATH, [reply]);
        vault.on("", "sys/health", [health]);
        let addresses = vec![Address::parse(A).unwrap()];
        let cluster = Arc::new(Cluster::new(vault.transport(), addresses, Arc::default()));
        let reads = futures_util::future::join_all((0..10).map(|_| read(&cluster))).await;
        let error = reads.into_iter().next().unwrap().err().unwrap();
        (vault, error)
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_allows_the_stale_cache_only_if_the_health_is_not_vaults_either() {
        for (reply, health, allows_stale) in [
            (page(403), Reply::health(200), false),
            (page(403), Reply::health(503), false),
            (page(403), page(403), true),
            (page(403), Reply::unreachable(), true),
            (page(403), Reply::hang(), true),
            (page(403), page(429), false),
            (page(404), Reply::errors(404, &[]), true),
            (page(200), Reply::health(200), false),
            (page(200), page(200), true),
            (page(429), Reply::health(200), false),
            (page(429), page(429), false),
            (page(429), Reply::unreachable(), false),
            (Reply::errors(429, &["quota"]), Reply::unreachable(), false),
            (Reply::json(403, serde_json::json!({"message": "no"})), Reply::health(200), false),
        ] {
            let what = format!("{reply:?} {health:?}");
            let (vault, error) = error_of(reply, health).await;
            assert_eq!(error.allows_stale(), allows_stale, "{what}: {error}");
            assert_eq!(
                error.is_transient(),
                what.contains("429") && error.to_string().contains("429")
            );
            // However many ask, the health is asked for once.
            assert!(elections(&vault) <= 1, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_at_one_node_is_not_made_an_outage_by_another_that_is_down() {
        for limit in [page(429), page(403)] {
            let (vault, cluster) = nodes();
            vault.on(B, "sys/health", [Reply::health(429)]);
            vault.on(A, PATH, [limit]);
            vault.on(B, PATH, [Reply::unreachable()]);
            let error = read(&cluster).await.err().unwrap();
            assert_eq!(asked(&vault), [A, B]);
            assert!(!error.allows_stale(), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_is_being_given_versions_is_asked_again_later() {
        let text = "Upgrading from non-versioned to versioned data. This backend will be unavailable \
                    for a brief period and will resume service shortly.";
        let (vault, cluster) = nodes();
        vault.on(A, PATH, [Reply::errors(400, &[text]), Reply::errors(400, &["invalid"])]);
        let error = read(&cluster).await.err().unwrap();
        assert!(error.is_transient() && error.to_string().contains("400 (Upgrading"), "{error}");
        // Any other 400 is final.
        assert_eq!(read(&cluster).await.unwrap().status.as_u16(), 400);
        assert_eq!(asked(&vault), [A, A]);
    }
}
