//! What homeservers answer.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::site::{Site, USER};
use crate::plugin::testing::status;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_homeserver_refuses_has_its_status() {
    let site = Site::start().await;
    for (answer, expected) in [
        ((429, json!({"errcode": "M_LIMIT_EXCEEDED", "error": "slow"})), 429),
        ((400, json!({"errcode": "M_BAD_JSON", "error": "?"})), 400),
        ((500, json!({"errcode": "M_UNKNOWN", "error": "?"})), 503),
        ((302, json!({})), 503),
        ((200, json!({"user_id": "@alice:example.org"})), 503),
        ((200, json!("garbage")), 503),
    ] {
        site.homeserver.state.refusals.lock().push(answer.clone());
        let reply = site.host.ask("read", USER, "{}").await;
        assert_eq!(status(&reply), expected, "{answer:?}");
    }
    assert_eq!(site.homeserver.sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_user_is_ended() {
    let site = Site::start().await;
    *site.homeserver.state.login_answer.lock() = json!({"user_id": "@bob:example.org"});
    let reply = site.host.ask("read", USER, "{}").await;
    assert_eq!(status(&reply), 503);
    assert_eq!(site.homeserver.sessions(), 0);
    assert!(site.host.stored("open").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_of_a_homeserver_with_mas_go_to_the_module() {
    let site = Site::start().await;
    site.homeserver.state.has_mas.store(true, Ordering::Relaxed);
    // It has moved since the engine asked.
    let lease = site.lease().await;
    assert_eq!(site.homeserver.count("POST /_synapse/client/vault_auth/login"), 1);
    assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    assert_eq!(site.homeserver.count("POST /_synapse/client/vault_auth/logout"), 1);
    assert_eq!(site.homeserver.sessions(), 0);
}
