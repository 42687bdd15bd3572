use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::BACKEND;
use super::fake_homeserver::FakeHomeserver;
use crate::plugin::testing::{HandleRequestReply, Secret, TestHost, data, request, status};

const LOGIN: &str = "POST /_matrix/client/v3/login";
const LOGOUT: &str = "POST /_matrix/client/v3/logout";
const WHO_AM_I: &str = "GET /_matrix/client/v3/account/whoami";
const USER: &str = "user/alice/example.org";
const STATIC: &str = "static/alice/example.org";
const STANDBY: i32 = 0x4000;

/// A mount with one homeserver and one user.
struct Site {
    host: TestHost,
    homeserver: FakeHomeserver,
}

impl Site {
    async fn start() -> Self {
        let homeserver = FakeHomeserver::start().await;
        let host = TestHost::start(BACKEND).await;
        assert_eq!(host.set_up("mount").await, "");
        let site = Self { host, homeserver };
        site.configure(json!({})).await;
        let reply = site.host.ask("create", "config/user/alice/example.org", "{}").await;
        assert_eq!(status(&reply), 200);
        site
    }

    async fn configure(&self, mut fields: Value) {
        fields["cs_url"] = json!(self.homeserver.url);
        let fields = fields.to_string();
        let reply = self.host.ask("update", "config/homeserver/example.org", &fields).await;
        let response = reply.response.as_ref().unwrap();
        assert!(status(&reply) == 200 && response.warnings.is_empty(), "{:?}", response.warnings);
    }

    /// Has requests go over another client, without a request for that.
    fn configure_other_timeout(&self) {
        let key = "config/homeserver/example%2Eorg";
        let mut entries = self.host.state.entries.lock();
        let config = entries.get_mut(key).unwrap();
        let text = String::from_utf8(config.clone()).unwrap();
        *config = text.replace("\"request_timeout_ms\":5000", "\"request_timeout_ms\":6000").into();
    }

    async fn lease(&self) -> Secret {
        let reply = self.host.ask("read", USER, "{}").await;
        assert_eq!(status(&reply), 200, "{}", error(&reply));
        reply.response.unwrap().secret.unwrap()
    }

    /// Has the mount clear up until no login is left. One that is young is not touched.
    async fn tick(&self) {
        let clearing = async {
            while !self.host.stored("opening/").is_empty() {
                assert_eq!(status(&self.host.ask("rollback", "", "{}").await), 200);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), clearing).await.unwrap();
    }

    fn hang(&self, hangs: bool) {
        self.homeserver.state.hangs.store(hangs, Ordering::Relaxed);
    }
}

/// Waits until something holds, which takes no longer than a test should.
async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.unwrap();
}

fn error(reply: &HandleRequestReply) -> &str {
    reply.err.as_ref().map_or("", |error| &error.err_msg)
}

fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds / 1_000_000_000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_a_session() {
    let site = Site::start().await;
    let lease = site.lease().await;
    let options = lease.lease_options.unwrap();
    assert_eq!((seconds(options.ttl), seconds(options.max_ttl)), (3600, 7200));
    assert!(options.issue_time.is_some() && options.renewable);
    assert_eq!(site.homeserver.sessions(), 1);
    eventually(|| site.host.stored("opening/").is_empty()).await;
    assert_eq!(site.host.stored("open/").len(), 1);
    let renewed = site.host.about_lease("renew", lease.clone()).await;
    let secret = renewed.response.unwrap().secret.unwrap();
    assert_eq!(secret.internal_data, lease.internal_data);
    assert!(secret.lease_options == lease.lease_options);
    for _ in 0..2 {
        assert_eq!(status(&site.host.about_lease("revoke", lease.clone()).await), 200);
        assert_eq!(site.homeserver.sessions(), 0);
        assert!(site.host.stored("open/").is_empty() && site.host.stored("pending/").is_empty());
    }
    let refused = site.host.about_lease("renew", lease).await;
    assert_eq!(status(&refused), 400);
    assert!(error(&refused).contains("M_UNKNOWN_TOKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_without_any_configuration() {
    let site = Site::start().await;
    let lease = site.lease().await;
    for path in ["config/user/alice/example.org", "config/homeserver/example.org"] {
        assert_eq!(status(&site.host.ask("delete", path, "{}").await), 200);
    }
    assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    assert_eq!(site.homeserver.sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_caps_the_lease() {
    let site = Site::start().await;
    *site.homeserver.state.login_answer.lock() = json!({"expires_in_ms": 5994});
    let options = site.lease().await.lease_options.unwrap();
    assert_eq!((options.ttl, options.max_ttl), (5_994_000_000, 5_994_000_000));
}

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
async fn a_renewal_does_not_need_the_homeserver() {
    let site = Site::start().await;
    let lease = site.lease().await;
    site.configure(json!({"request_timeout": "500ms"})).await;
    site.hang(true);
    assert_eq!(status(&site.host.about_lease("renew", lease).await), 200);
}

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

#[tokio::test(flavor = "multi_thread")]
async fn two_reads_of_a_static_session_open_one_though_the_first_is_cancelled() {
    let site = Site::start().await;
    *site.homeserver.state.held.lock() = Some(LOGIN);
    tokio::select! {
        _ = site.host.ask("read", STATIC, "{}") => unreachable!(),
        () = eventually(|| site.homeserver.count(LOGIN) == 1) => {}
    }
    let second = site.host.ask("read", STATIC, "{}");
    let release = async {
        // A second login would begin meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(site.homeserver.count(LOGIN), 1);
        *site.homeserver.state.held.lock() = None;
    };
    let (second, ()) = tokio::join!(second, release);
    assert_eq!(status(&second), 200, "{}", error(&second));
    assert_eq!((site.homeserver.count(LOGIN), site.homeserver.sessions()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn rotate_waits_for_a_login_that_is_under_way() {
    let site = Site::start().await;
    *site.homeserver.state.held.lock() = Some(LOGIN);
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
        *site.homeserver.state.held.lock() = None;
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
async fn a_homeserver_gets_32_requests_at_once_at_most() {
    let site = Site::start().await;
    // Whatever configuration they go by.
    let lease = site.lease().await;
    *site.homeserver.state.held.lock() = Some(WHO_AM_I);
    let renew = || site.host.about_lease("renew", lease.clone());
    let first = futures_util::future::join_all((0..40).map(|_| renew()));
    let others = async {
        eventually(|| site.homeserver.count(WHO_AM_I) == 32).await;
        site.configure_other_timeout();
        let renewing = futures_util::future::join_all((0..8).map(|_| renew()));
        let release = async {
            // More would be asked meanwhile.
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(site.homeserver.count(WHO_AM_I), 32);
            *site.homeserver.state.held.lock() = None;
        };
        tokio::join!(renewing, release).0
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first.iter().chain(&others).all(|reply| status(reply) == 200));
    assert_eq!(site.homeserver.count(WHO_AM_I), 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_wait_for_one_that_hangs_do_not_ask() {
    let site = Site::start().await;
    let lease = site.lease().await;
    site.configure(json!({"request_timeout": "500ms"})).await;
    site.hang(true);
    let renewing = (0..96).map(|_| site.host.about_lease("renew", lease.clone()));
    let replies = futures_util::future::join_all(renewing).await;
    assert!(replies.iter().all(|reply| status(reply) == 200));
    assert!(site.homeserver.count(WHO_AM_I) <= 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_takes_no_connection_hangs() {
    let site = Site::start().await;
    let leases = [site.lease().await, site.lease().await];
    // Nobody accepts, so that the queue is full.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let time = Duration::from_millis(100);
    while let Ok(taken) = timeout(time, tokio::net::TcpStream::connect(address)).await {
        queue.push(taken.unwrap());
    }
    let url = format!("http://{address}");
    let fields = json!({"cs_url": url, "request_timeout": "500ms"}).to_string();
    let reply = site.host.ask("update", "config/homeserver/example.org", &fields).await;
    assert_eq!(status(&reply), 200);
    for lease in leases {
        assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    }
    let listed = data(&site.host.ask("list", "pending/", "{}").await);
    let infos = listed["key_info"].as_object().unwrap();
    let left_alone =
        infos.values().filter(|info| info["reason"].as_str().unwrap().contains("a moment ago"));
    assert!(infos.len() == 2 && left_alone.count() >= 1, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_homeserver_does_not_tell_that_a_session_has_ended() {
    let site = Site::start().await;
    let lease = site.lease().await;
    let static_session = data(&site.host.ask("read", STATIC, "{}").await);
    let other = FakeHomeserver::start().await;
    let fields = json!({"cs_url": other.url}).to_string();
    let reply = site.host.ask("update", "config/homeserver/example.org", &fields).await;
    assert_eq!(status(&reply), 200);
    assert_eq!(status(&site.host.about_lease("renew", lease.clone()).await), 200);
    assert_eq!(data(&site.host.ask("read", STATIC, "{}").await), static_session);
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", lease.clone()).await), 200);
    assert_eq!((site.host.stored("pending/").len(), site.homeserver.sessions()), (1, 2));
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", lease.clone()).await), 200);
    assert_eq!(site.homeserver.sessions(), 1);
    assert_eq!(status(&site.host.about_lease("renew", lease).await), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_ttls_count_at_the_next_renewal() {
    let site = Site::start().await;
    let lease = site.lease().await;
    for (fields, expected) in [
        (json!({"ttl": 60, "max_ttl": 600}), (60, 600)),
        // Never beyond what the lease began with, which is not forgotten.
        (json!({"ttl": 90000, "max_ttl": 90000}), (7200, 7200)),
        (json!({"ttl": 0, "max_ttl": 0}), (3600, 7200)),
    ] {
        let fields = fields.to_string();
        let reply = site.host.ask("update", "config/user/alice/example.org", &fields).await;
        assert_eq!(status(&reply), 200);
        let renewed = site.host.about_lease("renew", lease.clone()).await;
        let secret = renewed.response.unwrap().secret.unwrap();
        assert_eq!(secret.internal_data, lease.internal_data);
        let options = secret.lease_options.unwrap();
        assert_eq!((seconds(options.ttl), seconds(options.max_ttl)), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_does_nothing() {
    let site = Site::start().await;
    let lease = site.lease().await;
    eventually(|| site.host.stored("opening/").is_empty()).await;
    let opening = site.host.state.entries.lock().values().next().cloned();
    site.host.state.entries.lock().insert("opening/x".to_owned(), opening.unwrap());
    site.host.state.replication_state.store(STANDBY, Ordering::Relaxed);
    site.host.state.is_read_only.store(true, Ordering::Relaxed);
    let reads = site.host.state.reads.load(Ordering::Relaxed);
    for (operation, path) in [
        ("read", USER),
        ("read", "static/alice/example.org"),
        ("delete", "static/alice/example.org"),
        ("update", "rotate/alice/example.org"),
        ("update", "config/user/alice/example.org"),
        ("delete", "config/user/alice/example.org"),
    ] {
        let reply = site.host.ask(operation, path, "{}").await;
        let error = reply.err.unwrap();
        assert_eq!((error.err_type, &*error.err_msg), (0, "cannot write to readonly storage"));
    }
    assert_eq!(status(&site.host.ask("rollback", "", "{}").await), 200);
    let initialize = TestHost::call("mount", crate::plugin::testing::Empty {});
    assert!(site.host.backend().initialize(initialize).await.unwrap().into_inner().err.is_none());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(site.host.state.reads.load(Ordering::Relaxed), reads);
    assert_eq!(site.homeserver.sessions(), 1);
    drop(lease);
}

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

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_the_core_refuses_are_refused() {
    let site = Site::start().await;
    let long = "l".repeat(250);
    for localpart in [
        "a//b",
        "a/./b",
        "a/../b",
        "al\nice",
        "al\0ice",
        "al\u{7f}ice",
        "al\u{200b}ice",
        "al\u{202e}ice",
        "al:ice",
        "alice:example.org",
        &long,
    ] {
        for prefix in ["config/user", "user", "static", "rotate"] {
            let operation = match prefix {
                "config/user" | "rotate" => "create",
                _ => "read",
            };
            let path = format!("{prefix}/{localpart}/example.org");
            let reply = site.host.ask(operation, &path, "{}").await;
            assert_eq!(status(&reply), 400, "{path:?}");
        }
        let path = format!("login/@{localpart}:example.org");
        let found = status(&site.host.ask("read", &path, "{}").await);
        assert!(found == 400 || localpart.contains(':'), "{path:?}: {found}");
    }
    for server in ["ex ample.org", "..", "a\u{0}", "exämple.org", "a..b", "[::1", "x:y"] {
        for (operation, path) in [
            ("create", format!("config/homeserver/{server}")),
            ("create", format!("config/user/alice/{server}")),
            ("read", format!("user/alice/{server}")),
            ("read", format!("login/@alice:{server}")),
        ] {
            let reply = site.host.ask(operation, &path, r#"{"cs_url":"http://x"}"#).await;
            assert_eq!(status(&reply), 400, "{path:?}");
        }
    }
    assert_eq!(site.host.stored("config/user/").len(), 1);
    // Those that it takes are told apart in storage.
    for localpart in ["a/b", "a%2fb", "a..b", "ü", "a b", "A", "@alice"] {
        let path = format!("config/user/{localpart}/example.org");
        assert_eq!(status(&site.host.ask("create", &path, "{}").await), 200, "{path}");
    }
    let listed = data(&site.host.ask("list", "config/user/", "{}").await);
    assert_eq!(
        listed["keys"],
        json!([
            "@@alice:example.org",
            "@A:example.org",
            "@a b:example.org",
            "@a%2fb:example.org",
            "@a..b:example.org",
            "@a/b:example.org",
            "@alice:example.org",
            "@ü:example.org",
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_none_is_an_error_that_hosts_try_again() {
    let site = Site::start().await;
    let lease = site.lease().await;
    let newer = lease.internal_data.replace("\"version\":1", "\"version\":2");
    for internal_data in ["", "{}", "null", r#"{"version":1}"#, &newer] {
        let internal_data = internal_data.to_owned();
        let secret = Secret { internal_data, ..lease.clone() };
        for operation in ["renew", "revoke"] {
            let reply = site.host.about_lease(operation, secret.clone()).await;
            assert_eq!(status(&reply), 500);
            assert!(!error(&reply).contains("syt_"));
        }
    }
    let reply = site.host.ask("revoke", "", "{}").await;
    assert_eq!(status(&reply), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_newer_version_are_an_error() {
    let site = Site::start().await;
    let mut entries: Vec<_> = site.host.state.entries.lock().clone().into_iter().collect();
    for (_, value) in &mut entries {
        *value = String::from_utf8(value.clone()).unwrap().replace(":1,", ":2,").into_bytes();
    }
    site.host.state.entries.lock().extend(entries);
    for path in ["config/homeserver/example.org", "config/user/alice/example.org"] {
        let reply = site.host.ask("read", path, "{}").await;
        assert_eq!(status(&reply), 500);
        assert!(error(&reply).contains("newer"), "{}", error(&reply));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_describes_itself() {
    let site = Site::start().await;
    let all = data(&site.host.ask("help", "", r#"{"requestResponsePrefix":"matrix"}"#).await);
    let paths = all["openapi"]["paths"].as_object().unwrap();
    assert_eq!(paths.len(), crate::paths::ALL.len());
    assert_eq!(paths["/login/{user_id}"]["x-vault-sudo"], true);
    for path in crate::paths::ALL {
        assert!(path.synopsis.ends_with('.') && path.description.ends_with('.'));
        assert!(path.fields.iter().all(|field| field.description.ends_with('.')));
        for capture in path.pattern.captures {
            assert!(path.fields.iter().any(|field| field.name == capture.name));
        }
        let shown = all["help"].as_str().unwrap();
        assert!(shown.contains(&path.pattern.regular_expression()));
    }
    let one = data(&site.host.ask("help", "config/user/a/b", "{}").await);
    assert!(one["help"].as_str().unwrap().contains("create_only"));
    assert_eq!(one["openapi"]["paths"].as_object().unwrap().len(), 1);
    assert_eq!(status(&site.host.ask("help", "no/such/path", "{}").await), 404);
}
