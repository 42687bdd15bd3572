//! Sessions that nobody holds.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::site::{LOGIN, LOGOUT, Site, USER, eventually};
use crate::plugin::testing::{TestHost, request, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_leaves_nothing() {
    let site = Site::start().await;
    let began = site.homeserver.state.login_began.notified();
    let call = site.host.handle("mount", request("read", USER, b"{}"));
    tokio::select! {
        biased;
        () = began => {}
        reply = call => assert_eq!(status(&reply.unwrap()), 200),
    }
    eventually(|| {
        site.homeserver.sessions() == site.host.stored("open/").len()
            && site.host.stored("opening/").is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_an_answer_is_ended_at_the_tick() {
    let site = Site::start().await;
    site.configure(json!({"request_timeout": "500ms"})).await;
    site.hang(true);
    assert_eq!(status(&site.host.ask("read", USER, "{}").await), 503);
    eventually(|| site.homeserver.count(LOGIN) == 1).await;
    assert_eq!(site.host.stored("opening/").len(), 1);
    site.hang(false);
    // What the login had opened after all.
    let key = site.host.stored("opening/").remove(0);
    let opening: Value = {
        let entries = site.host.state.entries.lock();
        serde_json::from_slice(&entries[&key]).unwrap()
    };
    let device = opening["device_id"].as_str().unwrap().to_owned();
    site.homeserver.state.tokens.lock().insert("lost".to_owned(), device);
    // While the homeserver is left alone, the end is pending; a mount that is loaded again ends it.
    site.tick().await;
    assert_eq!(site.host.stored("pending/").len(), 1);
    let cleanup = TestHost::call("mount", crate::plugin::testing::Empty {});
    site.host.backend().cleanup(cleanup).await.unwrap();
    assert_eq!(site.host.set_up("mount").await, "");
    assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
    eventually(|| site.host.stored("pending/").is_empty()).await;
    assert_eq!(site.homeserver.sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_could_not_be_undone_is_ended_at_the_tick() {
    let site = Site::start().await;
    site.configure(json!({"request_timeout": "500ms"})).await;
    *site.host.state.loses_answers_below.lock() = Some("open/".to_owned());
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.ask("read", USER, "{}").await), 500);
    assert_eq!((site.homeserver.count(LOGOUT), site.homeserver.sessions()), (1, 1));
    assert_eq!(site.host.stored("opening/").len(), 1);
    assert!(site.host.stored("open/").is_empty());
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    site.tick().await;
    assert_eq!(site.homeserver.sessions(), 0);
}
