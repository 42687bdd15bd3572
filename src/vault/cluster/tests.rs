//! Requests to clusters whose nodes fail, hang and change their roles, on virtual time.

use std::time::Duration;

use super::*;
use crate::vault::RequestKind;
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
    assert!(matches!(error, VaultError::NoAnswer { cause: TransportError::TimedOut { .. }, .. }));
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
    assert_eq!(cluster.nodes.metrics().retries.get(), 20);
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
async fn what_a_gateway_may_have_passed_on_is_not_repeated() {
    for status in [502, 503, 504] {
        let (vault, cluster) = nodes();
        vault.on(A, PATH, [page(status)]);
        let error = write(&cluster).await.err().unwrap();
        assert!(error.is_transient() && error.may_have_applied(), "{error}");
        assert_eq!(asked(&vault), [A]);
    }
    let (vault, cluster) = nodes();
    vault.on(A, PATH, [Reply::errors(503, &["sealed"])]);
    write(&cluster).await.unwrap();
    assert_eq!(asked(&vault), [A, B]);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_leads_to_configured_addresses_only() {
    let (vault, cluster) = nodes();
    read(&cluster).await.unwrap();
    asked(&vault);
    let to = |url: &str| Reply::text(307, "text/plain", String::new()).with_header("location", url);
    vault.on(A, PATH, [to("http://c:8200/v1/kv/entry"), to("http://elsewhere:8200/v1/kv/entry")]);
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
        // Many limits say 503, as nginx' does, and some without a word.
        (page(503), Reply::health(200), false),
        (page(503), page(429), false),
        (page(503), page(503), true),
        (page(500), Reply::health(200), false),
        (Reply::text(503, "text/plain", String::new()), Reply::health(200), false),
        (Reply::text(503, "text/plain", String::new()), Reply::unreachable(), true),
        (Reply::json(503, serde_json::json!({"message": "no"})), Reply::health(200), false),
        // A gateway that has no answer of Vault's, and what Vault says itself.
        (page(502), Reply::health(200), true),
        (page(504), Reply::health(200), true),
        (Reply::errors(503, &["sealed"]), Reply::health(503), true),
        (Reply::errors(500, &["storage"]), Reply::health(200), true),
        (Reply::errors(500, &[]), Reply::health(200), true),
    ] {
        let what = format!("{reply:?} {health:?}");
        let (vault, error) = error_of(reply, health).await;
        assert_eq!(error.allows_stale(), allows_stale, "{what}: {error}");
        let is_transient =
            matches!(error, VaultError::Unavailable { .. }) || error.to_string().contains("429");
        assert_eq!(error.is_transient(), is_transient, "{what}: {error}");
        // However many ask, the health is asked for once.
        assert!(elections(&vault) <= 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_at_one_node_is_not_made_an_outage_by_another_that_is_down() {
    for limit in [page(429), page(403), page(503)] {
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
