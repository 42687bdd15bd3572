//! What goes over the wire, and what becomes of answers that no homeserver should give.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{
    AccessToken, AuthMetadata, Homeserver, HomeserverError, HomeserverUrl, Login, LoginCredentials,
    Profile, PublicProfile, Registration, Session, VaultStage,
};
use crate::http::{LONGEST_BODY, TransportError};
use crate::notice::Notices;
use crate::retry::Transient;

const HASH: &str = "6a0c7d4e6a0c7d4e6a0c7d4e6a0c7d4e6a0c7d4e6a0c7d4e6a0c7d4e6a0c7d4e";
const STAGE: VaultStage<'_> = VaultStage { user_id: "@a:x", token_hash: HASH };

fn homeserver(url: &str) -> Homeserver {
    homeserver_within(url, Duration::from_secs(60))
}

fn homeserver_within(url: &str, request_timeout: Duration) -> Homeserver {
    let connection = HomeserverUrl::parse(url).unwrap().into();
    Homeserver::new(connection, request_timeout, Notices::new(drop)).unwrap()
}

fn token() -> AccessToken {
    AccessToken::parse(&"syt_secret".into()).unwrap()
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Reads one request, body and all.
async fn read(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0);
    }
}

/// Answers one connection after the other, while `ask` is asking; returns the requests as well.
/// An empty answer closes the connection.
async fn answering<T>(
    answers: &[String],
    ask: impl AsyncFnOnce(Homeserver) -> T,
) -> (T, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prefix/", listener.local_addr().unwrap());
    let serve = async {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            requests.push(read(&mut connection).await);
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    };
    tokio::join!(ask(homeserver(&url)), serve)
}

async fn log_in(homeserver: Homeserver) -> Result<Session, HomeserverError> {
    let login = Login {
        user_id: "@a:x",
        credentials: LoginCredentials::TokenHash(HASH),
        device_id: "D",
        device_name: None,
    };
    homeserver.log_in(&login).await
}

#[tokio::test]
async fn a_login() {
    let opened =
        r#"{"user_id":"@a:x:8448","access_token":"syt_new","device_id":"D","home_server":7}"#;
    let (session, requests) = answering(&[answer("200 OK", opened)], log_in).await;
    let session = session.unwrap();
    assert_eq!(session.user_id, "@a:x:8448");
    assert_eq!(session.home_server, "x:8448");
    assert_eq!(session.access_token.secret().expose_secret(), "syt_new");
    assert!(!format!("{session:?}").contains("syt_"));
    assert!(requests[0].starts_with("POST /prefix/_matrix/client/v3/login HTTP/1.1\r\n"));
    let (_, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(body).unwrap(),
        serde_json::json!({
            "type": "io.t2bot.vault",
            "identifier": {"type": "m.id.user", "user": "@a:x"},
            "token_hash": HASH,
            "device_id": "D",
        })
    );
}

#[tokio::test]
async fn success_in_other_words_is_none_and_repeats_nothing() {
    for body in [
        "",
        "<html>syt_new</html>",
        "\"syt_new\"",
        r#"{"user_id":"@a:x","access_token":["syt_new"],"device_id":"D"}"#,
        r#"{"user_id":"@a:x","access_token":"syt_new","device_id":"syt_new"#,
        r#"{"user_id":"@a:x","access_token":"syt_new"}"#,
        r#"{"user_id":"@a:x","access_token":"syt_new\n\n2","device_id":"D"}"#,
        r#"{"user_id":"syt_new","access_token":"syt_new","device_id":"D"}"#,
    ] {
        let (result, _) = answering(&[answer("200 OK", body)], log_in).await;
        let error = result.unwrap_err();
        assert!(error.to_string().contains("POST /_matrix/client/v3/login"), "{error}");
        assert!(!format!("{error:?}{error}").contains("syt_"), "{error}");
        assert!(error.may_have_applied(), "{body}");
        assert!(!error.is_transient(), "{body}");
    }
}

#[tokio::test]
async fn what_ruma_has_against_an_answer_is_not_repeated() {
    let answers = [answer("200 OK", r#"{"user_id":"syt_secret","flows":"syt_secret"}"#)];
    let (result, _) = answering(&answers, async |server| server.login_types().await).await;
    let error = result.unwrap_err();
    assert!(!format!("{error:?}{error}").contains("syt_"), "{error}");
    assert!(!error.may_have_applied());
}

#[tokio::test]
async fn a_token_follows_no_redirect() {
    let to = |location| {
        [format!(
            "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nConnection: close\r\n\
             Location: {location}\r\n\r\n"
        )]
    };
    let log_out = async |server: Homeserver| server.log_out(&token()).await;
    let answers = to("https://u:p@evil.org/x?t=syt_secret#f");
    let (result, requests) = answering(&answers, log_out).await;
    let error = result.unwrap_err();
    assert!(error.to_string().contains(" with a redirect to https://evil.org/x (307)"), "{error}");
    assert!(!error.may_have_applied());
    assert!(requests[0].to_ascii_lowercase().contains("\r\nauthorization: bearer syt_secret\r\n"));
    let error = answering(&to("/syt_secret/x"), log_out).await.0.unwrap_err();
    assert!(error.to_string().contains(" with a redirect (307)"), "{error}");
}

#[tokio::test]
async fn answers_have_a_bound() {
    let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", LONGEST_BODY + 1);
    let (result, _) = answering(&[announced], async |server| server.versions().await).await;
    assert!(result.unwrap_err().to_string().ends_with("answered with more than 1048576 bytes"));
}

#[tokio::test]
async fn a_broken_connection_leaves_open_what_was_done() {
    let (result, _) = answering(&[String::new()], log_in).await;
    let error = result.unwrap_err();
    let HomeserverError::NoAnswer { cause, .. } = &error else { panic!("{error}") };
    assert!(matches!(cause, TransportError::Unreachable { was_connected: true, .. }), "{error}");
    assert!(error.is_transient() && error.may_have_applied());
    // What only reads is tried once more, and nothing was done.
    let answers = [String::new(), String::new()];
    let (result, _) = answering(&answers, async |server| server.login_types().await).await;
    let error = result.unwrap_err();
    assert!(error.is_transient() && !error.may_have_applied());
}

#[tokio::test]
async fn without_a_connection_nothing_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = log_in(homeserver(&url)).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot reach the homeserver at {url}: ")));
    assert!(error.is_transient() && !error.may_have_applied());
}

#[tokio::test]
async fn no_answer_in_time_leaves_open_what_was_done() {
    // Connections wait in the listener's queue; nobody ever takes them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let limit = Duration::from_millis(200);
    let homeserver = || homeserver_within(&url, limit);
    let error = log_in(homeserver()).await.unwrap_err();
    let HomeserverError::NoAnswer { cause, .. } = &error else { panic!("{error}") };
    assert_eq!(*cause, TransportError::TimedOut { limit });
    assert!(error.is_transient() && error.may_have_applied());
    assert!(!homeserver().versions().await.unwrap_err().may_have_applied());
    // The nonce is only read.
    let password = SecretString::from("p");
    let registration = Registration {
        localpart: "a",
        password: &password,
        is_admin: false,
        user_type: None,
        display_name: None,
        inhibit_login: true,
    };
    let error = homeserver().register(&"s".into(), &registration).await.unwrap_err();
    assert!(!error.may_have_applied());
}

#[tokio::test]
async fn a_profile_that_needs_authentication_tells_nothing() {
    for (status, body, value) in [
        ("200 OK", "{}", PublicProfile::Profile(Profile::default())),
        ("404 Not Found", r#"{"errcode":"M_NOT_FOUND"}"#, PublicProfile::Nothing),
        ("404 Not Found", r#"{"errcode":"M_UNKNOWN"}"#, PublicProfile::Nothing),
        ("401 Unauthorized", r#"{"errcode":"M_MISSING_TOKEN"}"#, PublicProfile::Undisclosed),
        ("403 Forbidden", r#"{"errcode":"M_FORBIDDEN"}"#, PublicProfile::Undisclosed),
    ] {
        let (result, requests) =
            answering(&[answer(status, body)], async |server| server.profile("@a/b:x").await).await;
        let dated = result.unwrap();
        assert_eq!(dated.value, value);
        assert_eq!(dated.date, Some(784_111_777));
        assert!(requests[0].contains("/profile/%40a%2Fb%3Ax HTTP/1.1"));
    }
    for (status, body) in [
        ("404 Not Found", ""),
        ("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#),
        ("200 OK", "<html>"),
        ("429 Too Many Requests", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
    ] {
        let (result, _) =
            answering(&[answer(status, body)], async |server| server.profile("@a:x").await).await;
        assert!(result.is_err(), "{status} {body}");
    }
}

#[tokio::test]
async fn who_signs_users_in() {
    let of_mas = r#"{"issuer":"https://mas.x/","token_endpoint":"https://mas.x/oauth2/token"}"#;
    let mas = AuthMetadata {
        issuer: "https://mas.x/".to_owned(),
        token_endpoint: Some("https://mas.x/oauth2/token".to_owned()),
    };
    let ask = async |server: Homeserver| server.auth_metadata().await;
    for (status, body, found) in [
        ("200 OK", of_mas, Some(mas)),
        ("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#, None),
        ("404 Not Found", r#"{"errcode":"M_NOT_FOUND"}"#, None),
        ("404 Not Found", "", None),
    ] {
        let (result, requests) = answering(&[answer(status, body)], ask).await;
        assert_eq!(result, Ok(found));
        assert!(requests[0].starts_with("GET /prefix/_matrix/client/v1/auth_metadata HTTP/1.1"));
    }
    for (status, body) in [
        ("200 OK", "<html>"),
        ("200 OK", "{}"),
        ("403 Forbidden", ""),
        ("500 Internal Server Error", r#"{"errcode":"M_UNKNOWN"}"#),
    ] {
        let (result, _) = answering(&[answer(status, body)], ask).await;
        assert!(result.is_err(), "{status} {body}");
    }
}

#[tokio::test]
async fn a_second_proof_is_given_where_it_is_taken() {
    let asked = r#"{"session":"S","flows":[{"stages":["m.login.password"]},
                    {"stages":["io.t2bot.vault"]}],"params":{}}"#;
    let delete =
        async |server: Homeserver| server.delete_devices(&token(), &["D".to_owned()], &STAGE).await;
    let answers = [answer("401 Unauthorized", asked), answer("200 OK", "{}")];
    let (result, requests) = answering(&answers, delete).await;
    result.unwrap();
    assert!(!requests[0].contains(HASH));
    let (_, body) = requests[1].split_once("\r\n\r\n").unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(body).unwrap(),
        serde_json::json!({
            "devices": ["D"],
            "auth": {
                "type": "io.t2bot.vault",
                "session": "S",
                "identifier": {"type": "m.id.user", "user": "@a:x"},
                "token_hash": HASH,
            },
        })
    );

    let echo = format!(r#"{{"session":"S","flows":[],"errcode":"M_FORBIDDEN","error":"{HASH}"}}"#);
    let answers = [answer("401 Unauthorized", asked), answer("401 Unauthorized", &echo)];
    let error = answering(&answers, delete).await.0.unwrap_err();
    assert_eq!(error.to_string(), "the homeserver answered 401 M_FORBIDDEN");

    for flows in [
        r#"{"session":"S","flows":[{"stages":["m.login.password"]}]}"#,
        r#"{"session":"S","flows":[{"stages":["io.t2bot.vault","m.login.terms"]}]}"#,
        r#"{"flows":[{"stages":["io.t2bot.vault"]}]}"#,
    ] {
        let error = answering(&[answer("401 Unauthorized", flows)], delete).await.0.unwrap_err();
        assert!(error.to_string().contains("does not take io.t2bot.vault"), "{error}");
    }
    let unknown = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"gone"}"#;
    let error = answering(&[answer("401 Unauthorized", unknown)], delete).await.0.unwrap_err();
    assert_eq!(error.errcode(), Some("M_UNKNOWN_TOKEN"));
}
