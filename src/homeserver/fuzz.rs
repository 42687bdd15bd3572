//! Answers that a homeserver should not give, and ids that are not what they look like.

#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target tells by a panic what it has found"
)]

use std::sync::LazyLock;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use ruma_client_api::uiaa::UiaaInfo;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::reauthentication::offers_token_hash;
use super::request::Request;
use super::session::Opened;
use super::{Homeserver, HomeserverError, HomeserverUrl, LOGIN_TYPE, Profile};
use crate::http::ServerResponse;
use crate::notice::Notices;
use crate::text::is_printable;

/// In every secret of the corpus.
const SECRET: &str = "s3cret";

/// Checks that an answer is understood as it is meant, or refused in words that hold no secret.
pub fn check_answer(body: &[u8]) {
    static HOMESERVER: LazyLock<Homeserver> = LazyLock::new(|| {
        let url = HomeserverUrl::parse("http://127.0.0.1:8008").unwrap();
        Homeserver::new(url.into(), Duration::from_secs(1), Notices::new(drop)).unwrap()
    });
    let request = Request::get(&["login"]).concealing_text(SECRET);
    for status in [200, 401, 429, 502] {
        let answer = answer(status, body);
        let error = Homeserver::refused(&request, &answer);
        check_words(&error);
        assert_eq!(error.status(), Some(status));
    }
    let answer = answer(200, body);
    let opened = understand::<Opened>(&HOMESERVER, &request, &answer);
    if let Some(session) = opened.and_then(Opened::into_session) {
        let token = session.access_token.secret().expose_secret();
        assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!format!("{:?}", session.access_token).contains(SECRET));
        // A part that nobody asks for may be unreadable, and harms nobody.
        if let Ok(body) = serde_json::from_slice::<Value>(body) {
            assert_eq!(token, body["access_token"].as_str().unwrap().trim());
            assert_eq!(session.user_id, body["user_id"].as_str().unwrap());
            assert_eq!(session.device_id, body["device_id"].as_str().unwrap());
        }
    }
    let _ = understand::<Profile>(&HOMESERVER, &request, &answer);
    if let Ok(info) = serde_json::from_slice::<UiaaInfo>(body) {
        let text = String::from_utf8_lossy(body);
        assert!(!offers_token_hash(&info) || text.contains(LOGIN_TYPE) || text.contains('\\'));
    }
}

fn understand<T: DeserializeOwned>(
    homeserver: &Homeserver,
    request: &Request<'_>,
    answer: &ServerResponse,
) -> Option<T> {
    homeserver.understand(request, answer).map_err(|error| check_words(&error)).ok()
}

fn check_words(error: &HomeserverError) {
    let (shown, said) = (format!("{error:?}"), error.to_string());
    assert!(!shown.contains(SECRET) && !said.contains(SECRET), "{said:?}");
    assert!(said.chars().all(is_printable) && said.chars().count() < 500, "{said:?}");
}

fn answer(status: u16, body: &[u8]) -> ServerResponse {
    ServerResponse {
        status: StatusCode::from_u16(status).unwrap(),
        body: Zeroizing::new(body.to_vec()),
        location: None,
        retry_after: None,
        date: None,
        headers: HeaderMap::new(),
    }
}

/// Checks that any text is one segment of a path, or is refused.
pub fn check_path(input: &[u8]) {
    let url = HomeserverUrl::parse("http://127.0.0.1:8008/proxied/").unwrap();
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(request) = Request::get(&["users", text, "devices"]).to_http(&url) else {
        assert!(matches!(text, "" | "." | ".."), "{text:?}");
        return;
    };
    let url = request.url();
    assert_eq!((url.query(), url.fragment()), (None, None));
    let segment = url.path().strip_prefix("/proxied/users/").unwrap();
    let segment = segment.strip_suffix("/devices").unwrap();
    assert!(!segment.contains('/'));
    assert_eq!(percent_decode_str(segment).decode_utf8().unwrap(), text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::fuzz;

    const WORDS: &[&str] = &[
        "user_id",
        "access_token",
        "device_id",
        "home_server",
        "errcode",
        "error",
        "retry_after_ms",
        "flows",
        "stages",
        "session",
        "completed",
        "params",
        "io.t2bot.vault",
        "m.login.password",
        "@alice:example.org",
        "syt_s3cret",
        "s3cret",
        "M_FORBIDDEN",
        "M_LIMIT_EXCEEDED",
        "displayname",
        "avatar_url",
        "mxc://example.org/a",
    ];

    #[test]
    fn answers_are_understood_or_refused_in_words_that_hold_no_secret() {
        fuzz("homeserver_answer", WORDS, Just(b"{}".to_vec()), check_answer);
    }

    #[test]
    fn a_user_id_is_one_segment_of_a_path() {
        let words = &["@alice:example.org", ":example.org", "@", "/../", "%2F", ".", ".."];
        fuzz("user_id", words, ".{0,12}".prop_map(String::into_bytes), check_path);
    }
}
