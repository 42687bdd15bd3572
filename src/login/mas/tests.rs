//! Sessions at MAS, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::homeserver::mas::fake::{FakeMas, Fault};
use crate::http::TransportError;
use crate::login::outcome::{Code, Outcome};
use crate::notice::Notices;
use crate::retry::Deadline;
use crate::sync::Mutex;
use crate::user_id::UserId;

const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
const SESSIONS: &str = "/personal-sessions";
const DEVICE: &str = "ABCDEFGHIJ";

/// A MAS, and the logins that open sessions there.
struct Site {
    mas: FakeMas,
    logins: Arc<MasLogins>,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn new(lifetime: Option<u64>) -> Self {
        let mas = FakeMas::new();
        let client = mas.client();
        let config = MasConfig {
            server: FakeMas::config(),
            session_lifetime: lifetime.map(Duration::from_secs),
            admin_scope: true,
            pass_other_logins: false,
        };
        let notices = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&notices);
        let sink = Notices::new(move |notice| log.lock().push(notice.text));
        let logins = Arc::new(MasLogins::new(Arc::new(client), config, sink));
        Self { mas, logins, notices }
    }

    async fn open(&self, name: &str, wishes: SessionWishes) -> OpenResult {
        open(&self.logins, 1, request(name, wishes, LOGIN_TIMEOUT)).await
    }

    async fn register(&self, name: &str) -> Outcome {
        let login = Outcome::new(Code::Registered, "right");
        let deadline = Deadline::after(LOGIN_TIMEOUT);
        register(&self.logins, &user_id(name), &login, deadline).await.outcome
    }
}

fn user_id(name: &str) -> UserId {
    UserId::parse(&format!("@{name}:example.org"), "example.org").unwrap()
}

fn request(name: &str, wishes: SessionWishes, time: Duration) -> SessionRequest {
    let outcome = Outcome::new(Code::Ok, "right");
    SessionRequest { user_id: user_id(name), outcome, wishes, deadline: Deadline::after(time) }
}

fn on_device(device: &str) -> SessionWishes {
    SessionWishes { device_id: Some(device.to_owned()), ..SessionWishes::default() }
}

fn anything() -> SessionWishes {
    SessionWishes::default()
}

fn scope(device: &str) -> String {
    format!("urn:matrix:client:api:* urn:matrix:client:device:{device}")
}

fn unreachable(was_connected: bool) -> Fault {
    let cause = "connection refused".to_owned();
    Fault::NoAnswer(TransportError::Unreachable { cause, was_connected })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_login_opens_one_session() {
    let site = Site::new(Some(3600));
    site.mas.add_user("alice", &json!({}));
    let wishes = SessionWishes { display_name: Some("My\n bot".to_owned()), ..anything() };
    let opened = site.open("alice", wishes).await;
    assert_eq!(opened.outcome, Outcome::new(Code::Ok, "right"));
    let session = opened.session.unwrap();
    assert!(session.access_token.secret().expose_secret().starts_with("mpt_"));
    assert_eq!(session.expires_in, Some(seconds(3600)));
    assert_eq!(session.device_display_name.as_deref(), Some("My bot"));
    let sessions = site.mas.active("personal-session");
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["attributes"]["scope"], scope(&session.device_id));
    let name = sessions[0]["attributes"]["human_name"].as_str().unwrap();
    assert!(name.starts_with("My bot vault-login-"), "{name}");
}

#[tokio::test(start_paused = true)]
async fn accounts_that_may_not_log_in_are_told_apart() {
    let site = Site::new(None);
    let then = "2026-01-01T00:00:00Z";
    site.mas.add_user("locked", &json!({ "locked_at": then }));
    site.mas.add_user("closed", &json!({ "deactivated_at": then, "locked_at": then }));
    site.mas.add_user("alice", &json!({}));
    for (name, code) in [
        ("locked", Code::UserLocked),
        ("closed", Code::UserDeactivated),
        ("nobody", Code::UnknownUser),
        ("Alice", Code::UnknownUser),
    ] {
        assert_eq!(site.open(name, anything()).await.outcome.code, code, "{name}");
    }
    site.mas.fail(Method::POST, SESSIONS, [Fault::Answer(410, json!({"errors": []}))]);
    assert_eq!(site.open("alice", anything()).await.outcome.code, Code::UserDeactivated);
    assert!(site.mas.personal_sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_administrators_have_the_scope_of_administrators() {
    let site = Site::new(None);
    site.mas.add_user("root", &json!({"admin": true}));
    site.mas.add_user("alice", &json!({}));
    for (name, is_admin) in [("root", true), ("alice", false)] {
        site.open(name, on_device(DEVICE)).await.session.unwrap();
        let scope =
            site.mas.active("personal-session").pop().unwrap()["attributes"]["scope"].clone();
        assert_eq!(scope.as_str().unwrap().ends_with(" urn:synapse:admin:*"), is_admin);
    }
}

#[tokio::test(start_paused = true)]
async fn bad_device_ids_are_the_clients_fault_and_ask_nobody() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    for device in ["", "SHORT", "AAAAAAAAAA urn:synapse:admin:*", "AAAAAAAAAÄ"] {
        let refused = site.open("alice", on_device(device)).await;
        assert_eq!(refused.outcome.code, Code::BadRequest);
        assert_eq!(refused.client_error.unwrap().errcode, "M_INVALID_PARAM");
    }
    assert!(site.mas.sent(&Method::GET, "").is_empty());
    let known = SessionWishes { is_device_known: true, ..on_device("SHORT") };
    let session = site.open("alice", known).await.session.unwrap();
    assert_eq!((&*session.device_id, session.device_display_name), ("SHORT", None));
}

#[tokio::test(start_paused = true)]
async fn a_device_of_somebodys_client_is_not_taken() {
    let user = FakeMas::new().add_user("alice", &json!({}));
    let unstable = format!("openid urn:matrix:org.matrix.msc2967.client:device:{DEVICE}");
    let protected = [
        ("oauth2-session", json!({"user_id": user, "scope": scope(DEVICE)})),
        ("oauth2-session", json!({"user_id": user, "scope": unstable})),
        (
            "personal-session",
            json!({
                "actor_user_id": user, "scope": scope(DEVICE), "human_name": "x vault-login-y",
                "owner_client_id": "0000000000000000000000TH3R",
            }),
        ),
    ];
    for (kind, attributes) in protected {
        let fresh = Site::new(None);
        assert_eq!(fresh.mas.add_user("alice", &json!({})), user);
        fresh.mas.add_session(kind, &attributes);
        let refused = fresh.open("alice", on_device(DEVICE)).await;
        assert_eq!(refused.outcome.code, Code::BadRequest, "{kind}");
        assert_eq!(fresh.mas.active(kind).len(), 1);
        assert!(fresh.mas.sent(&Method::POST, SESSIONS).is_empty());
        // Another device of the same user is free.
        assert!(fresh.open("alice", on_device("KLMNOPQRST")).await.session.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_replaced_end_once_the_new_one_exists() {
    let site = Site::new(None);
    let user = site.mas.add_user("alice", &json!({}));
    site.mas.add_session("compat-session", &json!({"user_id": user, "device_id": DEVICE}));
    site.mas.add_session("compat-session", &json!({"user_id": user, "device_id": "OTHERDEVICE"}));
    let kept = json!({
        "actor_user_id": user, "scope": scope(DEVICE), "human_name": "Bot vault-kept-mark",
    });
    let kept = site.mas.add_session("personal-session", &kept);
    let first = site.open("alice", on_device(DEVICE)).await.session.unwrap();
    let second = site.open("alice", on_device(DEVICE)).await.session.unwrap();
    assert_ne!(first.id, second.id);
    let compat = site.mas.active("compat-session");
    assert_eq!(compat.len(), 1);
    assert_eq!(compat[0]["attributes"]["device_id"], "OTHERDEVICE");
    let ids: Vec<Value> =
        site.mas.active("personal-session").iter().map(|s| s["id"].clone()).collect();
    assert_eq!(ids, [json!(kept), json!(second.id.as_str())]);

    // Nothing ends if there is no new one.
    site.mas.fail(Method::POST, SESSIONS, [Fault::Answer(400, json!({"errors": []}))]);
    assert_eq!(site.open("alice", on_device(DEVICE)).await.outcome.code, Code::MasRefused);
    assert_eq!(site.mas.active("personal-session").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn expired_sessions_of_ours_end_at_the_next_login_by_the_clock_of_mas() {
    let site = Site::new(Some(60));
    let user = site.mas.add_user("alice", &json!({}));
    let first = site.open("alice", anything()).await.session.unwrap();
    let foreign = json!({
        "actor_user_id": user, "scope": scope("FOREIGN001"), "human_name": "Bot vault-login-mark",
        "owner_client_id": "0000000000000000000000TH3R", "expires_at": "1999-01-01T00:00:00Z",
    });
    let foreign = site.mas.add_session("personal-session", &foreign);
    let kept = json!({
        "actor_user_id": user, "scope": scope("KEPT000001"), "human_name": "Bot vault-kept-mark",
        "expires_at": "1999-01-01T00:00:00Z",
    });
    let kept = site.mas.add_session("personal-session", &kept);
    let unmarked = json!({
        "actor_user_id": user, "scope": scope("UNMARKED01"), "human_name": "Bot",
        "expires_at": "1999-01-01T00:00:00Z",
    });
    let unmarked = site.mas.add_session("personal-session", &unmarked);
    let ids = || -> Vec<String> {
        let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
        site.mas.active("personal-session").iter().map(id).collect()
    };
    // Alive still.
    tokio::time::sleep(seconds(50)).await;
    let second = site.open("alice", anything()).await.session.unwrap();
    assert!(ids().contains(&first.id.to_string()));
    tokio::time::sleep(seconds(20)).await;
    let third = site.open("alice", anything()).await.session.unwrap();
    let (second, third) = (second.id.to_string(), third.id.to_string());
    assert_eq!(ids(), [foreign, kept, unmarked, second, third]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_no_session_that_nobody_has() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    site.mas.fail(Method::POST, SESSIONS, [Fault::AnswerLost, Fault::AnswerLost]);
    let session = site.open("alice", anything()).await.session.unwrap();
    assert_eq!(site.mas.sent(&Method::POST, SESSIONS).len(), 3);
    let left = site.mas.active("personal-session");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], session.id.as_str());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_appears_after_our_own_time_out_is_ended() {
    for late in [1, 6, 30, 100] {
        let site = Site::new(None);
        site.mas.add_user("alice", &json!({}));
        site.mas.fail_for_ever(Method::POST, SESSIONS, &Fault::Late(seconds(late)));
        let began = Instant::now();
        let outcome = site.open("alice", anything()).await.outcome;
        assert_eq!(outcome.code, Code::MasUnavailable);
        assert!(began.elapsed() <= LOGIN_TIMEOUT, "{:?}", began.elapsed());
        tokio::time::sleep(seconds(300)).await;
        let attempts = site.mas.sent(&Method::POST, SESSIONS).len();
        assert_eq!(site.mas.sent(&Method::POST, "/revoke").len(), attempts);
        assert!(site.mas.personal_sessions().is_empty());
        // It is not looked for any longer.
        let looks = site.mas.sent(&Method::GET, SESSIONS).len();
        tokio::time::sleep(seconds(3600)).await;
        assert_eq!(site.mas.sent(&Method::GET, SESSIONS).len(), looks);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_comes_after_the_login_has_ended_is_ended() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    site.mas.fail(Method::POST, SESSIONS, [Fault::Slow(seconds(4))]);
    let outcome = open(&site.logins, 1, request("alice", anything(), seconds(2))).await.outcome;
    assert_eq!(outcome.code, Code::MasUnavailable);
    tokio::time::sleep(seconds(60)).await;
    assert!(site.mas.personal_sessions().is_empty());
    assert_eq!(site.mas.sent(&Method::POST, "/revoke").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_a_session_with_the_mark_is_taken_for_what_a_lost_answer_left() {
    let site = Site::new(None);
    let user = site.mas.add_user("alice", &json!({}));
    // Another process opens one on the same device at the same time.
    let other = json!({
        "actor_user_id": user, "scope": scope(DEVICE), "human_name": "Bot vault-login-other",
    });
    site.mas.fail_for_ever(Method::POST, SESSIONS, &Fault::Late(seconds(6)));
    let opening = tokio::spawn({
        let logins = Arc::clone(&site.logins);
        async move { open(&logins, 1, request("alice", on_device(DEVICE), LOGIN_TIMEOUT)).await }
    });
    tokio::time::sleep(seconds(1)).await;
    let other = site.mas.add_session("personal-session", &other);
    assert_eq!(opening.await.unwrap().outcome.code, Code::MasUnavailable);
    tokio::time::sleep(seconds(300)).await;
    let left = site.mas.active("personal-session");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], other);
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_moment_are_ridden_out_and_others_end_the_login() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    let errors = || json!({"errors": [{"title": "Failed to provision device"}]});
    let passing = [unreachable(false), Fault::Answer(500, errors()), Fault::Text(502, "<html>")];
    site.mas.fail(Method::POST, SESSIONS, passing.clone());
    site.mas.fail(Method::GET, "/by-username/alice", passing);
    assert_eq!(site.open("alice", anything()).await.outcome.code, Code::Ok);
    site.mas.fail(Method::POST, SESSIONS, [Fault::Answer(403, errors())]);
    let refused = site.open("alice", anything()).await.outcome;
    assert_eq!(refused.code, Code::MasRefused);
    assert!(refused.reason.contains("403") && refused.reason.contains("Failed to provision"));
    site.mas.fail_for_ever(Method::GET, "/by-username/alice", &unreachable(false));
    let began = Instant::now();
    let outcome = site.open("alice", anything()).await.outcome;
    assert_eq!(outcome.code, Code::MasUnavailable);
    assert!(outcome.reason.contains("connection refused") && began.elapsed() <= LOGIN_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_vault_left_no_time_is_not_blamed_on_mas() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    let opened = open(&site.logins, 1, request("alice", anything(), Duration::ZERO)).await;
    assert_eq!(opened.outcome.code, Code::Timeout);
    assert!(site.mas.sent(&Method::GET, "").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_one_user_does_not_hold_up_another() {
    let site = Site::new(None);
    site.mas.add_user("bot", &json!({}));
    site.mas.add_user("alice", &json!({}));
    site.mas.fail_for_ever(Method::POST, SESSIONS, &Fault::Slow(Duration::from_millis(300)));
    let burst: Vec<_> = (0..200)
        .map(|number| {
            let logins = Arc::clone(&site.logins);
            tokio::spawn(async move {
                open(&logins, number, request("bot", anything(), LOGIN_TIMEOUT)).await.outcome.code
            })
        })
        .collect();
    tokio::time::sleep(seconds(1)).await;
    let began = Instant::now();
    assert_eq!(site.open("alice", anything()).await.outcome.code, Code::Ok);
    assert!(began.elapsed() < seconds(1));
    assert_eq!(site.mas.most_creations(), 2);
    let mut codes = Vec::new();
    for login in burst {
        codes.push(login.await.unwrap());
    }
    let accepted = codes.iter().filter(|code| **code == Code::Ok).count();
    let overloaded = codes.iter().filter(|code| **code == Code::Overloaded).count();
    assert!(accepted >= 30, "{accepted}");
    assert_eq!(accepted + overloaded, 200);
    tokio::time::sleep(seconds(300)).await;
    assert_eq!(site.mas.personal_sessions().len(), accepted + 1);
}

#[tokio::test(start_paused = true)]
async fn four_sessions_are_opened_at_once() {
    let site = Site::new(None);
    site.mas.fail_for_ever(Method::POST, SESSIONS, &Fault::Slow(Duration::from_millis(100)));
    let logins = (0..20).map(|number| {
        let name = format!("bot{number}");
        site.mas.add_user(&name, &json!({}));
        let logins = Arc::clone(&site.logins);
        async move { open(&logins, number, request(&name, anything(), LOGIN_TIMEOUT)).await }
    });
    for opened in futures_util::future::join_all(logins).await {
        assert!(opened.session.is_some());
    }
    assert_eq!(site.mas.most_creations(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_client_has_gone_is_ended_unless_its_device_was_there() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    let opened = site.open("alice", anything()).await.session;
    site.logins.abandon(1, opened);
    tokio::time::sleep(seconds(1)).await;
    assert!(site.mas.personal_sessions().is_empty());

    for (is_device_known, left) in [(false, 0), (true, 1)] {
        let wishes = SessionWishes { is_device_known, ..on_device(DEVICE) };
        site.mas.fail(Method::POST, SESSIONS, [Fault::Slow(seconds(2))]);
        let opening = tokio::spawn({
            let logins = Arc::clone(&site.logins);
            async move { open(&logins, 7, request("alice", wishes, LOGIN_TIMEOUT)).await }
        });
        tokio::time::sleep(seconds(1)).await;
        site.logins.abandon(7, None);
        opening.await.unwrap();
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(site.mas.personal_sessions().len(), left);
    }
    // A number that is used again is not that login's.
    site.open("alice", anything()).await;
    assert!(!site.logins.is_abandoned(7));
}

#[tokio::test(start_paused = true)]
async fn a_user_is_registered_once() {
    let site = Site::new(None);
    assert_eq!(site.register("alice").await.code, Code::Registered);
    assert_eq!(site.register("alice").await.code, Code::Ok);
    let both = tokio::join!(site.register("bob"), site.register("bob"));
    assert_eq!((both.0.code, both.1.code), (Code::Registered, Code::Ok));
    assert_eq!(site.mas.sent(&Method::POST, "/users").len(), 2);
    site.mas.fail(Method::POST, "/users", [Fault::AnswerLost]);
    assert_eq!(site.register("carol").await.code, Code::Ok);
    let taken = json!({"errors": [{"title": "User already exists"}]});
    site.mas.fail(Method::POST, "/users", [Fault::Answer(409, taken)]);
    let refused = site.register("dave").await;
    assert_eq!(refused.code, Code::RegistrationRefused);
    assert!(refused.reason.contains("User already exists"), "{}", refused.reason);
    site.mas.fail_for_ever(Method::POST, "/users", &unreachable(true));
    assert_eq!(site.register("dave").await.code, Code::MasUnavailable);
}

#[tokio::test(start_paused = true)]
async fn logging_out_ends_what_was_opened_here() {
    let site = Site::new(None);
    let user = site.mas.add_user("alice", &json!({}));
    let foreign = json!({
        "actor_user_id": user, "scope": scope(DEVICE), "owner_client_id": "0000000000000000000000TH3R",
        "human_name": "vault-kept-x",
    });
    site.mas.add_session("personal-session", &foreign);
    let here = site.open("alice", on_device(DEVICE)).await.session.unwrap();
    let there = site.open("alice", anything()).await.session.unwrap();
    let third = site.open("alice", anything()).await.session.unwrap();
    let log_out = async |token: &str, is_of_all| {
        log_out(&site.logins, &token.into(), is_of_all, Deadline::after(LOGIN_TIMEOUT)).await
    };
    let token = |session: &OpenedSession| session.access_token.secret().expose_secret().to_owned();
    for other in ["syt_abc", "mat_abc", "mct_abc", "", "Ä", "mpt_ä"] {
        assert_eq!(log_out(other, true).await, LogoutResult::NotOurs, "{other}");
    }
    assert!(site.mas.sent(&Method::POST, "/introspect").is_empty());
    assert_eq!(log_out("mpt_unknown", false).await, LogoutResult::UnknownToken);
    assert_eq!(log_out(&token(&here), false).await, LogoutResult::Done);
    assert_eq!(log_out(&token(&here), false).await, LogoutResult::UnknownToken);
    assert_eq!(site.mas.active("personal-session").len(), 3);
    site.mas.fail(Method::POST, "/revoke", [unreachable(true), Fault::Text(503, "")]);
    assert_eq!(log_out(&token(&there), true).await, LogoutResult::Done);
    assert_eq!(log_out(&token(&third), true).await, LogoutResult::UnknownToken);
    assert_eq!(site.mas.active("personal-session").len(), 1);
    site.mas.fail_for_ever(Method::POST, "/introspect", &unreachable(false));
    assert!(matches!(log_out("mpt_x", false).await, LogoutResult::Unavailable(_)));
}

#[tokio::test(start_paused = true)]
async fn what_time_leaves_of_logging_out_everywhere_is_done_in_the_background() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    let mut token = None;
    for _ in 0..5 {
        let session = site.open("alice", anything()).await.session.unwrap();
        token = Some(session.access_token.secret().clone());
    }
    site.mas.fail(Method::POST, "/revoke", vec![Fault::Slow(seconds(4)); 5]);
    let deadline = Deadline::after(LOGIN_TIMEOUT);
    let result = log_out(&site.logins, &token.unwrap(), true, deadline).await;
    assert!(matches!(result, LogoutResult::Unavailable(_)), "{result:?}");
    assert!(!site.mas.active("personal-session").is_empty());
    tokio::time::sleep(seconds(60)).await;
    assert!(site.mas.active("personal-session").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_be_ended_does_not_hold_up_the_login_and_is_told() {
    let site = Site::new(None);
    site.mas.add_user("alice", &json!({}));
    site.open("alice", on_device(DEVICE)).await.session.unwrap();
    site.mas.fail_for_ever(Method::POST, "/revoke", &Fault::Slow(seconds(30)));
    let began = Instant::now();
    assert!(site.open("alice", on_device(DEVICE)).await.session.is_some());
    assert!(began.elapsed() <= seconds(2));
    tokio::time::sleep(seconds(120)).await;
    let notices = site.notices.lock();
    assert!(notices.iter().any(|text| text.contains("goes on")), "{notices:?}");
}
