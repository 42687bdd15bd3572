//! A mount with a homeserver and a user, and what tests ask it.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::super::BACKEND;
use super::super::fake_homeserver::FakeHomeserver;
use crate::plugin::testing::{HandleRequestReply, Secret, TestHost, status};

pub const LOGIN: &str = "POST /_matrix/client/v3/login";
pub const LOGOUT: &str = "POST /_matrix/client/v3/logout";
pub const WHO_AM_I: &str = "GET /_matrix/client/v3/account/whoami";
pub const USER: &str = "user/alice/example.org";
pub const STATIC: &str = "static/alice/example.org";
pub const STANDBY: i32 = 0x4000;

/// A mount with one homeserver and one user.
pub struct Site {
    pub host: TestHost,
    pub homeserver: FakeHomeserver,
}

impl Site {
    pub async fn start() -> Self {
        let homeserver = FakeHomeserver::start().await;
        let host = TestHost::start(BACKEND).await;
        assert_eq!(host.set_up("mount").await, "");
        let site = Self { host, homeserver };
        site.configure(json!({})).await;
        let reply = site.host.ask("create", "config/user/alice/example.org", "{}").await;
        assert_eq!(status(&reply), 200);
        site
    }

    pub async fn configure(&self, mut fields: Value) {
        if fields.get("cs_url").is_none() {
            fields["cs_url"] = json!(self.homeserver.url);
        }
        let fields = fields.to_string();
        let reply = self.host.ask("update", "config/homeserver/example.org", &fields).await;
        let response = reply.response.as_ref().unwrap();
        assert!(status(&reply) == 200 && response.warnings.is_empty(), "{:?}", response.warnings);
    }

    /// Has requests go over another client, without a request for that.
    pub fn configure_other_timeout(&self) {
        let key = "config/homeserver/example%2Eorg";
        let mut entries = self.host.state.entries.lock();
        let config = entries.get_mut(key).unwrap();
        let text = String::from_utf8(config.clone()).unwrap();
        *config = text.replace("\"request_timeout_ms\":5000", "\"request_timeout_ms\":6000").into();
    }

    pub async fn lease(&self) -> Secret {
        let reply = self.host.ask("read", USER, "{}").await;
        assert_eq!(status(&reply), 200, "{}", error(&reply));
        reply.response.unwrap().secret.unwrap()
    }

    /// Has the mount clear up until no login is left. One that is young is not touched.
    pub async fn tick(&self) {
        let clearing = async {
            while !self.host.stored("opening/").is_empty() {
                assert_eq!(status(&self.host.ask("rollback", "", "{}").await), 200);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), clearing).await.unwrap();
    }

    pub fn hang(&self, hangs: bool) {
        self.homeserver.state.hangs.store(hangs, Ordering::Relaxed);
    }
}

/// Waits until something holds, which takes no longer than a test should.
pub async fn eventually(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came to that");
        // Of the time that passes also where a test has stopped the clock.
        spawn_blocking(|| sleep(Duration::from_millis(2))).await.unwrap();
    }
}

pub fn error(reply: &HandleRequestReply) -> &str {
    reply.err.as_ref().map_or("", |error| &error.err_msg)
}

pub fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds / 1_000_000_000
}
