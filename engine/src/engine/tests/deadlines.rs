//! Each call has one deadline, however many requests it makes: the host holds a lock meanwhile.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::{JoinHandle, spawn_blocking};

use super::super::fake_homeserver::FakeHomeserver;
use super::clock::StoppedClock;
use super::site::{LOGIN, LOGOUT, STATIC, Site, USER, WHO_AM_I, eventually};
use crate::plugin::testing::{
    HandleRequestArgs, HandleRequestReply, HostRequest, Secret, TestHost, data, request, status,
};

const VERSIONS: &str = "GET /_matrix/client/versions";
const LOGIN_TYPES: &str = "GET /_matrix/client/v3/login";
const CONFIG_USER: &str = "config/user/alice/example.org";
const CONFIG_SERVER: &str = "config/homeserver/example.org";
const ROTATE: &str = "rotate/alice/example.org";

/// A site where five seconds are the time of a request, and pass when a test says so.
struct Stopped {
    site: Site,
    clock: StoppedClock,
}

impl Stopped {
    async fn start() -> Self {
        let clock = StoppedClock::new();
        Self { site: Site::start().await, clock }
    }

    /// Begins a call.
    fn begin(&self, operation: &str, path: &str, fields: &str) -> JoinHandle<HandleRequestReply> {
        self.begin_with(request(operation, path, fields.as_bytes()))
    }

    fn begin_with(&self, request: HostRequest) -> JoinHandle<HandleRequestReply> {
        let mut backend = self.site.host.backend();
        let args = HandleRequestArgs { request: Some(request) };
        let call = TestHost::call("mount", args);
        tokio::spawn(async move { backend.handle_request(call).await.unwrap().into_inner() })
    }

    fn begin_about(&self, operation: &str, lease: &Secret) -> JoinHandle<HandleRequestReply> {
        let secret = Some(lease.clone());
        let request = request(operation, "", b"{}");
        self.begin_with(HostRequest { secret, ..request })
    }

    /// The answer of a call that has five seconds, before others end that have a minute. It may
    /// take a moment to get to where it waits.
    async fn ended_in_time(&self, call: JoinHandle<HandleRequestReply>) -> HandleRequestReply {
        for _ in 0..10 {
            let began = Instant::now();
            while !call.is_finished() && began.elapsed() < Duration::from_millis(300) {
                spawn_blocking(|| sleep(Duration::from_millis(2))).await.unwrap();
            }
            if call.is_finished() {
                break;
            }
            self.clock.advance(5).await;
        }
        ended(call).await
    }

    /// Waits until the homeserver was asked so often for this.
    async fn until_asked(&self, request: &str, times: usize) {
        until_asked(&self.site.homeserver, request, times).await;
    }
}

async fn until_asked(homeserver: &FakeHomeserver, request: &str, times: usize) {
    eventually(|| homeserver.count(request) == times).await;
}

/// The answer of a call, for which no more time has to pass.
async fn ended(call: JoinHandle<HandleRequestReply>) -> HandleRequestReply {
    eventually(|| call.is_finished()).await;
    call.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_read_of_a_static_session_that_has_ended() {
    let stopped = Stopped::start().await;
    let Stopped { site, clock } = &stopped;
    assert_eq!(status(&ended(stopped.begin("read", STATIC, "{}")).await), 200);
    site.homeserver.state.tokens.lock().clear();
    site.homeserver.hold(WHO_AM_I);
    let call = stopped.begin("read", STATIC, "{}");
    stopped.until_asked(WHO_AM_I, 1).await;
    clock.advance(3).await;
    site.homeserver.hold(LOGIN);
    stopped.until_asked(LOGIN, 2).await;
    clock.advance(1).await;
    assert!(!call.is_finished());
    clock.advance(1).await;
    assert_eq!(status(&ended(call).await), 503);
    // The session that comes late is the one that stays.
    site.homeserver.release();
    let device = |host: &TestHost| {
        let entries = host.state.entries.lock();
        let session = entries.iter().find(|(key, _)| key.starts_with("static/")).unwrap().1.clone();
        serde_json::from_slice::<serde_json::Value>(&session).unwrap()["device_id"].clone()
    };
    let opened = || site.homeserver.state.tokens.lock().values().next().cloned();
    eventually(|| opened().is_some_and(|opened| device(&site.host) == opened)).await;
    let again = ended(stopped.begin("read", STATIC, "{}")).await;
    assert_eq!(data(&again)["device_id"], device(&site.host));
    assert_eq!((site.homeserver.count(LOGIN), site.homeserver.sessions()), (2, 1));
}

/// Has a session at one homeserver, and configures another one.
async fn moved(stopped: &Stopped) -> FakeHomeserver {
    let other = FakeHomeserver::start().await;
    let fields = json!({"cs_url": other.url}).to_string();
    assert_eq!(status(&ended(stopped.begin("update", CONFIG_SERVER, &fields)).await), 200);
    other
}

/// Two homeservers answer this late, one after the other.
async fn answer_late(stopped: &Stopped, other: &FakeHomeserver, request: &'static str) {
    until_asked(other, request, 1).await;
    stopped.clock.advance(3).await;
    stopped.site.homeserver.hold(request);
    other.release();
    stopped.until_asked(request, 1).await;
    stopped.clock.advance(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_a_static_session_or_its_user_at_two_addresses() {
    for path in [STATIC, CONFIG_USER] {
        let stopped = Stopped::start().await;
        assert_eq!(status(&ended(stopped.begin("read", STATIC, "{}")).await), 200);
        let other = moved(&stopped).await;
        other.hold(LOGOUT);
        let call = stopped.begin("delete", path, "{}");
        answer_late(&stopped, &other, LOGOUT).await;
        let reply = ended(call).await;
        assert_eq!((status(&reply), reply.response.unwrap().warnings.len()), (200, 1), "{path}");
        assert_eq!(stopped.site.host.stored("pending/").len(), 1);
        assert!(stopped.site.host.stored("static/").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_session_at_two_addresses() {
    let stopped = Stopped::start().await;
    let reply = ended(stopped.begin("read", USER, "{}")).await;
    let lease = reply.response.unwrap().secret.unwrap();
    let other = moved(&stopped).await;
    other.hold(WHO_AM_I);
    let call = stopped.begin_about("renew", &lease);
    answer_late(&stopped, &other, WHO_AM_I).await;
    assert_eq!(status(&ended(call).await), 200);
    // Nothing of what was cut off says that the homeserver hangs: it had less than half the time.
    stopped.site.homeserver.release();
    other.hold(LOGOUT);
    let call = stopped.begin_about("revoke", &lease);
    answer_late(&stopped, &other, LOGOUT).await;
    assert_eq!(status(&ended(call).await), 200);
    assert_eq!(stopped.site.host.stored("pending/").len(), 1);
    // The same session by hand.
    stopped.site.homeserver.release();
    other.hold(LOGOUT);
    let path = stopped.site.host.stored("pending/").remove(0).replace("%2E", ".");
    let call = stopped.begin("update", &path, "{}");
    eventually(|| other.count(LOGOUT) == 2).await;
    stopped.clock.advance(5).await;
    assert_eq!(status(&ended(call).await), 503);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_user_whose_login_is_under_way() {
    let stopped = Stopped::start().await;
    for (operation, path) in [("update", ROTATE), ("update", CONFIG_USER)] {
        let logins = stopped.site.homeserver.count(LOGIN);
        stopped.site.homeserver.hold(LOGIN);
        let login = stopped.begin("read", USER, "{}");
        stopped.until_asked(LOGIN, logins + 1).await;
        stopped.clock.advance(2).await;
        let call = stopped.begin(operation, path, "{}");
        // It waits for the login, which ends by its own deadline; the work goes on.
        stopped.clock.advance(3).await;
        assert_eq!(status(&ended(login).await), 503);
        stopped.site.homeserver.release();
        assert_eq!(status(&ended(call).await), 200, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_user_whose_login_hangs_on() {
    let stopped = Stopped::start().await;
    let fields = json!({"request_timeout": 60}).to_string();
    assert_eq!(status(&ended(stopped.begin("update", CONFIG_SERVER, &fields)).await), 200);
    stopped.site.homeserver.hold(LOGIN);
    let login = stopped.begin("read", USER, "{}");
    stopped.until_asked(LOGIN, 1).await;
    let fields = json!({"request_timeout": 5}).to_string();
    assert_eq!(status(&ended(stopped.begin("update", CONFIG_SERVER, &fields)).await), 200);
    let calls = [("update", ROTATE), ("update", CONFIG_USER), ("delete", CONFIG_USER)]
        .map(|(operation, path)| stopped.begin(operation, path, "{}"));
    for call in calls {
        assert_eq!(status(&stopped.ended_in_time(call).await), 503);
    }
    stopped.site.homeserver.release();
    assert_eq!(status(&ended(login).await), 200);
}

#[tokio::test(start_paused = true)]
async fn a_homeserver_that_is_tried_out_answers_late() {
    let stopped = Stopped::start().await;
    let tried = stopped.site.homeserver.count(VERSIONS);
    let asked = stopped.site.homeserver.count(LOGIN_TYPES);
    stopped.site.homeserver.hold(VERSIONS);
    let call = stopped.begin("update", CONFIG_SERVER, "{}");
    stopped.until_asked(VERSIONS, tried + 1).await;
    stopped.clock.advance(3).await;
    stopped.site.homeserver.hold(LOGIN_TYPES);
    stopped.until_asked(LOGIN_TYPES, asked + 1).await;
    stopped.clock.advance(2).await;
    let reply = ended(call).await;
    assert_eq!((status(&reply), reply.response.unwrap().warnings.len()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn a_homeserver_that_is_tried_out_is_busy() {
    let stopped = Stopped::start().await;
    let fields = json!({"request_timeout": 60}).to_string();
    assert_eq!(status(&ended(stopped.begin("update", CONFIG_SERVER, &fields)).await), 200);
    let reply = ended(stopped.begin("read", USER, "{}")).await;
    let lease = reply.response.unwrap().secret.unwrap();
    stopped.site.homeserver.hold(WHO_AM_I);
    let renewing: Vec<_> = (0..32).map(|_| stopped.begin_about("renew", &lease)).collect();
    stopped.until_asked(WHO_AM_I, 32).await;
    let fields = json!({"request_timeout": 5}).to_string();
    let call = stopped.begin("update", CONFIG_SERVER, &fields);
    let is_written = || {
        let entries = stopped.site.host.state.entries.lock();
        let config = entries.get("config/homeserver/example%2Eorg").unwrap();
        String::from_utf8_lossy(config).contains("\"request_timeout_ms\":5000")
    };
    eventually(is_written).await;
    let reply = stopped.ended_in_time(call).await;
    let warnings = reply.response.unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("was not tried"), "{warnings:?}");
    stopped.site.homeserver.release();
    for call in renewing {
        assert_eq!(status(&ended(call).await), 200);
    }
}
