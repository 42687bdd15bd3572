//! The client of the admin API, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::fake::{CLIENT, FakeMas, Fault};
use super::*;
use crate::credential::Credential;
use crate::homeserver::AccessToken;
use crate::http::TransportError;
use crate::notice::Notices;
use crate::retry::Transient;

const ADMIN: &str = "/api/admin/v1";
const TOKEN: &str = "/oauth2/token";

fn alice(mas: &FakeMas) -> Ulid {
    Ulid::parse(&mas.add_user("alice", &json!({}))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn many_requests_share_one_token_which_is_fetched_when_it_is_needed() {
    let mas = FakeMas::new();
    let client = mas.client();
    assert!(mas.sent(&Method::POST, TOKEN).is_empty());
    let requests = (0..50).map(|_| client.version());
    for version in futures_util::future::join_all(requests).await {
        assert_eq!(version.unwrap(), "v1.22.0");
    }
    assert_eq!(mas.sent(&Method::POST, TOKEN).len(), 1);
    assert_eq!(mas.sent(&Method::GET, "/openid-configuration").len(), 1);
    // It lives for 300 seconds by the monotonic clock, and is replaced a little earlier.
    tokio::time::sleep(Duration::from_secs(269)).await;
    client.version().await.unwrap();
    assert_eq!(mas.sent(&Method::POST, TOKEN).len(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.version().await.unwrap();
    assert_eq!(mas.sent(&Method::POST, TOKEN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_said_to_live_for_ever_is_kept_for_a_day_at_most() {
    let mas = FakeMas::new();
    let body = json!({"access_token": "mat_1", "expires_in": u64::MAX, "token_type": "Bearer"});
    mas.fail(Method::POST, TOKEN, [Fault::Answer(200, body)]);
    let client = mas.client();
    // MAS does not know that token, so another one is fetched.
    client.version().await.unwrap();
    assert_eq!(mas.sent(&Method::POST, TOKEN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_known_any_more_is_replaced_once() {
    let mas = FakeMas::new();
    let client = mas.client();
    client.version().await.unwrap();
    mas.forget_tokens();
    let requests = (0..20).map(|_| client.version());
    for version in futures_util::future::join_all(requests).await {
        version.unwrap();
    }
    assert_eq!(mas.sent(&Method::POST, TOKEN).len(), 2);
    // One that is refused from the beginning is not asked for again and again.
    mas.fail_for_ever(Method::GET, "/version", &Fault::Answer(401, json!({"errors": []})));
    assert_eq!(client.version().await.unwrap_err().status(), Some(401));
    assert_eq!(mas.sent(&Method::POST, TOKEN).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_is_told_from_a_request_that_is() {
    let mas = FakeMas::new();
    let body = json!({"error": "invalid_client", "error_description": "s3cret is wrong"});
    mas.fail(Method::POST, TOKEN, [Fault::Answer(401, body.clone()), Fault::Answer(401, body)]);
    let client = mas.client();
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, MasError::ClientRefused { status: 401, .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains(CLIENT) && !text.contains("s3cret"), "{text}");
    // By either of the two ways to present a secret, the header first.
    let sent = mas.sent(&Method::POST, TOKEN);
    assert!(sent[0].authorization.as_ref().unwrap().starts_with("Basic "));
    assert!(!sent[0].body.contains("s3cret"));
    assert!(sent[1].authorization.is_none() && sent[1].body.contains("client_secret=s3cret"));
    assert!(!error.may_have_applied() && !error.is_transient());
    // The next one is tried: somebody may have put it right.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(client.version().await.unwrap(), "v1.22.0");
}

#[tokio::test(start_paused = true)]
async fn many_share_the_failure_to_get_a_token() {
    let mas = FakeMas::new();
    let cause = TransportError::TimedOut { limit: Duration::from_secs(5) };
    mas.fail_for_ever(Method::POST, TOKEN, &Fault::NoAnswer(cause));
    let client = mas.client();
    let requests = (0..20).map(|_| client.version());
    for version in futures_util::future::join_all(requests).await {
        assert!(version.unwrap_err().is_transient());
    }
    assert_eq!(mas.sent(&Method::POST, TOKEN).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_not_sent_in_the_clear_where_discovery_is_encrypted() {
    let mas = FakeMas::new();
    let elsewhere = json!({"token_endpoint": "http://auth.example.org/oauth2/token"});
    mas.fail(Method::GET, "/openid-configuration", [Fault::Answer(200, elsewhere)]);
    let error = mas.client().version().await.unwrap_err();
    assert!(error.to_string().contains("without TLS"), "{error}");
    assert!(mas.sent(&Method::POST, TOKEN).is_empty());
}

#[tokio::test(start_paused = true)]
async fn users_are_found_byte_for_byte() {
    let mas = FakeMas::new();
    mas.add_user("alice", &json!({"locked_at": "2026-01-01T00:00:00Z"}));
    mas.add_user("a/b", &json!({"admin": true}));
    let client = mas.client();
    assert!(client.user_by_localpart("alice").await.unwrap().unwrap().is_locked);
    assert!(client.user_by_localpart("Alice").await.unwrap().is_none());
    assert!(client.user_by_localpart("nobody").await.unwrap().is_none());
    let user = client.user_by_localpart("a/b").await.unwrap().unwrap();
    assert!(user.is_admin && !user.is_locked && !user.is_deactivated);
    assert_eq!(mas.sent(&Method::GET, "/by-username/a%2Fb").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_404_of_something_else_is_no_missing_user() {
    let mas = FakeMas::new();
    let client = mas.client();
    for fault in [Fault::Text(404, "<html>"), Fault::Text(404, "404 page not found")] {
        mas.fail(Method::GET, "/by-username/alice", [fault]);
        assert_eq!(client.user_by_localpart("alice").await.unwrap_err().status(), Some(404));
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_followed_to_their_end() {
    let mas = FakeMas::new();
    let user = alice(&mas);
    for number in 0..250 {
        let name = format!("session {number}");
        let attributes = json!({"actor_user_id": user.as_str(), "human_name": name});
        mas.add_session("personal-session", &attributes);
    }
    let client = mas.client();
    let found = client.personal_sessions(&user, PersonalSessionFilter::Active).await.unwrap();
    assert_eq!(found.len(), 250);
    assert_eq!(found[249].human_name, "session 249");
    assert_eq!(mas.sent(&Method::GET, "/personal-sessions").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_goes_in_a_circle_ends() {
    let mas = FakeMas::new();
    let user = alice(&mas);
    let session = json!({
        "id": user.as_str(), "attributes": {
            "created_at": "2026-01-01T00:00:00Z", "actor_user_id": user.as_str(),
            "human_name": "", "scope": "",
        },
    });
    let page = json!({"data": [session], "links": {"next": "/again"}});
    mas.fail_for_ever(Method::GET, "/personal-sessions", &Fault::Answer(200, page));
    let found = mas.client().personal_sessions(&user, PersonalSessionFilter::Active).await;
    assert!(matches!(found, Err(MasError::Unexpected { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_created_found_and_ended() {
    let mas = FakeMas::new();
    let user = alice(&mas);
    let client = mas.client();
    let name = SessionName::new("Bot", SessionPurpose::Login).unwrap();
    let device = DeviceId::parse("ABCDEFGHIJ", false).unwrap();
    let scope = Scope::of_client(device.clone());
    let new = NewPersonalSession { actor: &user, name: &name, scope: &scope, expires_in: Some(60) };
    let created = client.create_personal_session(&new).await.unwrap();
    let on_device = PersonalSessionFilter::OnDevice(&device);
    let found = client.personal_sessions(&user, on_device).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(name.marks(&found[0].human_name));
    assert_eq!(found[0].device_id(), Some("ABCDEFGHIJ"));
    assert_eq!(found[0].owner_client_id.as_ref(), Some(client.client_id()));
    let introspected = client.introspect(&created.access_token).await.unwrap();
    let active = Introspection::Active {
        client_id: Some(client.client_id().clone()),
        user_id: Some(user.clone()),
        device_id: Some("ABCDEFGHIJ".to_owned()),
    };
    assert_eq!(introspected, active);
    // To end it again does no harm.
    for _ in 0..2 {
        client.revoke_personal_session(&created.session.id).await.unwrap();
    }
    let introspected = client.introspect(&created.access_token).await.unwrap();
    assert_eq!(introspected, Introspection::Inactive);
    assert!(client.personal_sessions(&user, on_device).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mas_without_personal_sessions_is_told_as_such() {
    let mas = FakeMas::new();
    let user = alice(&mas);
    let name = SessionName::new("Bot", SessionPurpose::Login).unwrap();
    let scope = Scope::of_client(DeviceId::random().unwrap());
    let new = NewPersonalSession { actor: &user, name: &name, scope: &scope, expires_in: None };
    let unknown_user = json!({"errors": [{"title": "User not found"}]});
    for (fault, said) in [
        (Fault::Text(404, "<html>Page not found</html>"), "1.5 or newer"),
        (Fault::Answer(404, unknown_user), "User not found"),
    ] {
        mas.fail(Method::POST, "/personal-sessions", [fault]);
        let error = mas.client().create_personal_session(&new).await.unwrap_err();
        assert!(error.to_string().contains(said) && !error.may_have_applied(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_say_whether_it_may_have_been_done_and_repeat_no_secret() {
    let mas = FakeMas::new();
    let user = alice(&mas);
    let client = mas.client();
    let path = format!("{ADMIN}/users/{user}/set-password");
    for (fault, may_have_applied) in [
        (Fault::Answer(403, json!({"errors": [{"title": "no p4ssword"}]})), false),
        (Fault::Text(422, "Failed to deserialize p4ssword"), false),
        (Fault::Text(500, "<html>oops</html>"), true),
        // Some proxies say so when a connection breaks on which they have passed a request on.
        (Fault::Text(503, "upstream connect error or disconnect/reset before headers"), true),
        (Fault::AnswerLost, true),
        (Fault::Slow(Duration::from_secs(9)), true),
    ] {
        mas.fail(Method::POST, &path, [fault]);
        let error = client.set_password(&user, &"p4ssword".into(), false).await.unwrap_err();
        assert_eq!(error.may_have_applied(), may_have_applied, "{error}");
        assert!(!format!("{error} {error:?}").contains("p4ssword"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_introspected_is_in_no_error() {
    let mas = FakeMas::new();
    let token = AccessToken::parse(&"mpt_s3cret".into()).unwrap();
    let body = json!({"error": "mpt_s3cret", "error_description": "mpt_s3cret"});
    mas.fail(Method::POST, "/introspect", [Fault::Answer(400, body)]);
    let error = mas.client().introspect(&token).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn the_secret_of_our_client_is_in_no_error() {
    let token = AccessToken::parse(&"mpt_t0ken".into()).unwrap();
    let echoes = ["client_secret=s3cret%2F1", "s3cret/1 is wrong", "token=mpt_t0ken"];
    for (status, echo) in [400, 403, 429, 500, 502].into_iter().zip(echoes.into_iter().cycle()) {
        let mas = FakeMas::new();
        let secret = Credential::Inline("s3cret/1".into());
        let config = Config { client_secret: secret, ..FakeMas::config() };
        let client = MasClient::with_transport(config, Arc::new(mas.clone()), Notices::new(|_| {}));
        mas.fail(Method::POST, TOKEN, [Fault::Text(status, echo)]);
        mas.fail(Method::POST, "/introspect", [Fault::Text(status, echo)]);
        let errors =
            [client.version().await.unwrap_err(), client.introspect(&token).await.unwrap_err()];
        let text = format!("{errors:?} {} {}", errors[0], errors[1]);
        assert!(!text.contains("s3cret"), "{text}");
        assert!(!errors[1].to_string().contains("t0ken"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_for_want_of_a_token_was_not_done() {
    let user = Ulid::parse(CLIENT).unwrap();
    for fault in [Fault::Slow(Duration::from_secs(9)), Fault::AnswerLost] {
        let mas = FakeMas::new();
        mas.fail(Method::POST, TOKEN, [fault]);
        let error = mas.client().set_password(&user, &"p4ssword".into(), false).await.unwrap_err();
        assert!(error.is_transient() && !error.may_have_applied(), "{error}");
    }
}
