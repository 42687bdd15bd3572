//! Nodes that are not the active one of the primary cluster.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::site::{STANDBY, STATIC, Site, USER, eventually};
use crate::plugin::testing::{Empty, SECONDARY, TestHost, request, status};

/// What only the primary cluster's active node can do.
const OF_THE_PRIMARY: [(&str, &str); 8] = [
    ("create", "config/homeserver/other.org"),
    ("delete", "config/homeserver/example.org"),
    ("create", "config/user/bob/example.org"),
    ("update", "config/user/alice/example.org"),
    ("delete", "config/user/alice/example.org"),
    ("update", "rotate/alice/example.org"),
    ("read", STATIC),
    ("delete", STATIC),
];

/// Checks that the host is to forward these, before anything is read: that may be old.
async fn check_forwarded(site: &Site, calls: &[(&str, &str)]) {
    let reads = site.host.state.reads.load(Ordering::Relaxed);
    for (operation, path) in calls {
        let fields = "{\"cs_url\": \"\"}";
        let error = site.host.ask(operation, path, fields).await.err.unwrap();
        let found = (error.err_type, &*error.err_msg);
        assert_eq!(found, (0, "cannot write to readonly storage"), "{operation} {path}");
    }
    assert_eq!(site.host.state.reads.load(Ordering::Relaxed), reads);
}

async fn become_node(site: &Site, state: i32) {
    // What the active node of the primary has begun is done by then.
    eventually(|| site.host.stored("opening/").is_empty()).await;
    site.host.state.replication_state.store(state, Ordering::Relaxed);
}

async fn roll_back(site: &Site) {
    assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
    let initialize = TestHost::call("mount", Empty {});
    assert!(site.host.backend().initialize(initialize).await.unwrap().into_inner().err.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_does_nothing() {
    for state in [STANDBY, STANDBY | SECONDARY] {
        let site = Site::start().await;
        site.lease().await;
        become_node(&site, state).await;
        let opening = site.host.state.entries.lock().values().next().cloned();
        site.host.state.entries.lock().insert("opening/x".to_owned(), opening.unwrap());
        site.host.state.is_read_only.store(true, Ordering::Relaxed);
        check_forwarded(&site, &OF_THE_PRIMARY).await;
        let local = [("read", USER), ("update", "pending/x"), ("delete", "pending/x")];
        check_forwarded(&site, &local).await;
        let reads = site.host.state.reads.load(Ordering::Relaxed);
        roll_back(&site).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(site.host.state.reads.load(Ordering::Relaxed), reads);
        assert_eq!(site.homeserver.sessions(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_cluster_has_leases_of_its_own_and_the_rest_of_the_primary() {
    let site = Site::start().await;
    assert_eq!(status(&site.host.ask("read", STATIC, "{}").await), 200);
    become_node(&site, SECONDARY).await;
    check_forwarded(&site, &OF_THE_PRIMARY).await;
    // All about a lease is written where it belongs to this cluster.
    let leases = [site.lease().await, site.lease().await];
    eventually(|| site.host.stored("opening/").is_empty()).await;
    let [renewed, kept] = leases;
    assert_eq!(status(&site.host.about_lease("renew", renewed.clone()).await), 200);
    assert_eq!(status(&site.host.about_lease("revoke", renewed).await), 200);
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", kept).await), 200);
    assert_eq!((site.host.stored("pending/").len(), site.host.stored("open/").len()), (1, 0));
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    // The tick ends what this cluster began, and leaves the session that stays alone.
    roll_back(&site).await;
    eventually(|| site.host.stored("pending/").is_empty()).await;
    assert_eq!((site.homeserver.sessions(), site.host.stored("static/").len()), (1, 1));
    assert_eq!(status(&site.host.ask("read", "login/@alice:example.org", "{}").await), 200);
    let listed = site.host.ask("list", "config/user/", "{}").await;
    assert_eq!(status(&listed), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_for_disaster_recovery_does_nothing() {
    let site = Site::start().await;
    site.lease().await;
    become_node(&site, 0x200).await;
    let reads = site.host.state.reads.load(Ordering::Relaxed);
    roll_back(&site).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(site.host.state.reads.load(Ordering::Relaxed), reads);
    check_forwarded(&site, &OF_THE_PRIMARY).await;
    let reply = site.host.handle("mount", request("read", USER, b"{}")).await.unwrap();
    assert_eq!(status(&reply), 500);
}
