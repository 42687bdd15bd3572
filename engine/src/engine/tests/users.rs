//! Users and their secrets.

use std::time::Duration;

use serde_json::json;

use super::site::{LOGIN, Site, USER, error, eventually};
use crate::plugin::testing::{data, status};

#[tokio::test(flavor = "multi_thread")]
async fn rotate_waits_for_a_login_that_is_under_way() {
    let site = Site::start().await;
    site.homeserver.hold(LOGIN);
    let secret = async || data(&site.host.ask("read", "login/@alice:example.org", "{}").await);
    let before = secret().await;
    let login = site.host.ask("read", USER, "{}");
    let rotate = async {
        eventually(|| site.homeserver.count(LOGIN) == 1).await;
        site.host.ask("update", "rotate/alice/example.org", "{}").await
    };
    let release = async {
        eventually(|| site.homeserver.count(LOGIN) == 1).await;
        // The secret would change meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(secret().await, before);
        site.homeserver.release();
    };
    let (login, rotated, ()) = tokio::join!(login, rotate, release);
    assert_eq!((status(&login), status(&rotated)), (200, 200));
    assert_ne!(secret().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_creates_a_user() {
    let site = Site::start().await;
    let fields = r#"{"create_only": true}"#;
    let creating = (0..8).map(|_| site.host.ask("create", "config/user/bob/example.org", fields));
    let replies = futures_util::future::join_all(creating).await;
    let created = replies.iter().filter(|reply| status(reply) == 200).count();
    let refused = replies.iter().filter(|reply| status(reply) == 400).count();
    assert_eq!((created, refused), (1, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_is_tried_once_more() {
    let site = Site::start().await;
    let forbidden = || (403, json!({"errcode": "M_FORBIDDEN", "error": "no"}));
    site.homeserver.state.refusals.lock().push(forbidden());
    site.lease().await;
    assert_eq!(site.homeserver.count(LOGIN), 2);
    site.homeserver.state.refusals.lock().extend([forbidden(), forbidden()]);
    let reply = site.host.ask("read", USER, "{}").await;
    assert_eq!(status(&reply), 400);
    assert!(error(&reply).contains("M_FORBIDDEN"), "{}", error(&reply));
    assert!(site.host.stored("opening/").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_homeserver_at_once_all_count() {
    let site = Site::start().await;
    let path = "config/homeserver/example.org";
    let changes = [r#"{"ttl": 60}"#, r#"{"max_ttl": 600}"#, r#"{"request_timeout": 7}"#];
    let writing = changes.map(|fields| site.host.ask("update", path, fields));
    let replies = futures_util::future::join_all(writing).await;
    assert!(replies.iter().all(|reply| status(reply) == 200));
    let config = data(&site.host.ask("read", path, "{}").await);
    let found = [&config["ttl"], &config["max_ttl"], &config["request_timeout"]];
    assert_eq!(found, [&json!(60), &json!(600), &json!(7)]);
}
