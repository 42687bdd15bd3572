//! Sessions whose end is not confirmed.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::site::{LOGOUT, STANDBY, STATIC, Site, USER, error, eventually};
use crate::plugin::testing::{data, status};

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_not_confirmed_is_pending() {
    let site = Site::start().await;
    let leases = [site.lease().await, site.lease().await];
    site.configure(json!({"request_timeout": "500ms"})).await;
    site.hang(true);
    for lease in leases.clone() {
        assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    }
    // The second one was not even tried.
    assert_eq!(site.homeserver.count(LOGOUT), 1);
    let listed = data(&site.host.ask("list", "pending/", "{}").await);
    let ids: Vec<&str> =
        listed["keys"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(ids.len(), 2);
    let path = format!("pending/{}", ids[0]);
    let pending = data(&site.host.ask("read", &path, "{}").await);
    assert_eq!(pending["user_id"], "@alice:example.org");
    assert!(pending["since"].is_string() && !pending["reason"].as_str().unwrap().is_empty());
    assert!(!listed.to_string().contains("syt_") && !pending.to_string().contains("syt_"));
    assert_eq!(status(&site.host.ask("update", &path, "{}").await), 503);
    site.hang(false);
    // A homeserver that has hung is left alone for ten seconds.
    assert_eq!(status(&site.host.ask("update", &path, "{}").await), 503);
    assert_eq!(status(&site.host.ask("delete", &path, "{}").await), 200);
    assert_eq!(site.host.stored("pending/").len(), 1);
    // On a mount that is being disabled it is an error, and not one after which hosts give up.
    site.host.state.is_tainted.store(true, Ordering::Relaxed);
    let reply = site.host.about_lease("revoke", leases[0].clone()).await;
    assert_eq!(status(&reply), 503);
    // Such a mount forgets no session that is pending.
    let leases = leases.map(|lease| site.host.about_lease("revoke", lease));
    let replies = futures_util::future::join_all(leases).await;
    assert!(replies.iter().all(|reply| status(reply) == 503));
    assert_eq!(site.host.stored("pending/").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_read_keeps_no_other_from_its_end() {
    let site = Site::start().await;
    let lease = site.lease().await;
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    assert_eq!(site.host.stored("pending/").len(), 1);
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    site.host.state.entries.lock().insert("opening/bad".to_owned(), b"garbage".to_vec());
    assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
    eventually(|| site.host.stored("pending/").is_empty()).await;
    assert_eq!((site.homeserver.sessions(), site.host.stored("opening/").len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_goes_keeps_what_it_may_need_elsewhere() {
    let site = Site::start().await;
    let lease = site.lease().await;
    assert_eq!(status(&site.host.ask("read", STATIC, "{}").await), 200);
    eventually(|| site.host.stored("opening/").is_empty()).await;
    let other = site.lease().await;
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", other).await), 200);
    assert_eq!(site.host.stored("pending/").len(), 1);
    site.host.state.is_tainted.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
    let reply = site.host.about_lease("revoke", lease.clone()).await;
    assert!(status(&reply) == 503 && error(&reply).contains("pending/"), "{}", error(&reply));
    assert_eq!(site.homeserver.sessions(), 3);
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    // A standby leaves it to the active node.
    site.host.state.replication_state.store(STANDBY, Ordering::Relaxed);
    assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
    assert_eq!(site.homeserver.sessions(), 3);
    site.host.state.replication_state.store(0, Ordering::Relaxed);
    assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
    assert!(site.host.stored("pending/").is_empty());
    assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    assert_eq!(site.homeserver.sessions(), 1);
    assert_eq!(site.host.stored("static/").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_given_up_while_it_is_tried_stays_given_up() {
    let site = Site::start().await;
    let lease = site.lease().await;
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    let key = site.host.stored("pending/").remove(0);
    // For another reason than the next one.
    let mut entries = site.host.state.entries.lock().clone();
    let text = String::from_utf8(entries.remove(&key).unwrap()).unwrap();
    let text = text.replace("the homeserver answered", "once it answered");
    site.host.state.entries.lock().insert(key.clone(), text.into_bytes());
    site.homeserver.hold(LOGOUT);
    let path = key.replace("%2E", ".");
    let tried = site.host.ask("update", &path, "{}");
    let given_up = async {
        eventually(|| site.homeserver.count(LOGOUT) == 2).await;
        assert_eq!(status(&site.host.ask("delete", &path, "{}").await), 200);
        site.homeserver.release();
    };
    let (tried, ()) = tokio::join!(tried, given_up);
    assert_eq!(status(&tried), 503);
    assert!(site.host.stored("pending/").is_empty());
}

/// A session that nobody has heard of, opened a moment ago, whose user's logouts fail.
async fn unheard() -> Site {
    let site = Site::start().await;
    *site.host.state.loses_answers_below.lock() = Some("open/".to_owned());
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.ask("read", USER, "{}").await), 500);
    assert_eq!((site.homeserver.sessions(), site.host.stored("opening/").len()), (1, 1));
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_goes_ends_logins_however_young_they_are() {
    let site = unheard().await;
    assert_eq!(status(&site.host.ask("read", STATIC, "{}").await), 200);
    site.host.state.is_tainted.store(true, Ordering::Relaxed);
    for fails in [true, false] {
        site.homeserver.state.fails_logouts.store(fails, Ordering::Relaxed);
        assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
        let (opening, pending) = (site.host.stored("opening/"), site.host.stored("pending/"));
        assert_eq!((opening.len(), pending.len()), (0, usize::from(fails)));
    }
    assert_eq!(site.homeserver.sessions(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_stays_until_the_logins_that_nobody_heard_of_have_ended() {
    let site = unheard().await;
    let path = "config/user/alice/example.org";
    let refused = site.host.ask("delete", path, "{}").await;
    assert!(status(&refused) == 503 && error(&refused).contains("pending/"), "{}", error(&refused));
    assert_eq!(site.host.stored("pending/").len(), 1);
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    assert_eq!(status(&site.host.ask("delete", path, "{}").await), 200);
    assert_eq!(site.homeserver.sessions(), 0);
    assert!(site.host.state.entries.lock().keys().all(|key| key.starts_with("config/homeserver/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_began_by_a_clock_that_was_wrong_is_ended() {
    let site = unheard().await;
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    let key = site.host.stored("opening/").remove(0);
    let mut opening: Value = {
        let entries = site.host.state.entries.lock();
        serde_json::from_slice(&entries[&key]).unwrap()
    };
    opening["began_ms"] = json!(opening["began_ms"].as_u64().unwrap() + 365 * 86_400_000);
    site.host.state.entries.lock().insert(key, opening.to_string().into_bytes());
    site.tick().await;
    assert_eq!(site.homeserver.sessions(), 0);
}
