//! The one session of a user that stays.

use std::time::Duration;

use super::site::{LOGIN, STATIC, Site, error, eventually};
use crate::plugin::testing::{data, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_static_session_stays() {
    let site = Site::start().await;
    let path = "static/alice/example.org";
    let (one, two) =
        tokio::join!(site.host.ask("read", path, "{}"), site.host.ask("read", path, "{}"),);
    assert_eq!(data(&one), data(&two));
    assert!(one.response.as_ref().unwrap().secret.is_none());
    assert_eq!(site.homeserver.sessions(), 1);
    site.tick().await;
    assert_eq!(site.homeserver.sessions(), 1);
    site.homeserver.state.tokens.lock().clear();
    let other = site.host.ask("read", path, "{}").await;
    assert_ne!(data(&other)["device_id"], data(&one)["device_id"]);
    assert_eq!(other.response.unwrap().warnings.len(), 1);
    assert_eq!(status(&site.host.ask("delete", path, "{}").await), 200);
    assert_eq!(site.homeserver.sessions(), 0);
    assert!(site.host.stored("static/").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_reads_of_a_static_session_open_one_though_the_first_is_cancelled() {
    let site = Site::start().await;
    site.homeserver.hold(LOGIN);
    tokio::select! {
        _ = site.host.ask("read", STATIC, "{}") => unreachable!(),
        () = eventually(|| site.homeserver.count(LOGIN) == 1) => {}
    }
    let second = site.host.ask("read", STATIC, "{}");
    let release = async {
        // A second login would begin meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(site.homeserver.count(LOGIN), 1);
        site.homeserver.release();
    };
    let (second, ()) = tokio::join!(second, release);
    assert_eq!(status(&second), 200, "{}", error(&second));
    assert_eq!((site.homeserver.count(LOGIN), site.homeserver.sessions()), (1, 1));
}
