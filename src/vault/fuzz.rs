//! User ids that are not what they look like, and answers that Vault should not give.

#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target tells by a panic what it has found"
)]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;
use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::ReadSecretRequest;
use zeroize::Zeroizing;

use super::kv::response;
use super::request::{Request, RequestKind};
use super::token::lease;
use super::transport::{HttpTransport, RequestHeaders, ServerResponse};
use super::{Config, Entry, Mount, VaultError, error, mounts};
use crate::notice::Notices;
use crate::text::is_printable;
use crate::user_id::UserId;

const SERVER_NAME: &str = "example.org";

/// In every secret of the corpus.
const SECRET: &str = "s3cret";

/// Checks that an id has a path in Vault that is nobody else's, or is refused.
pub fn check_path(input: &[u8]) {
    static VAULT: LazyLock<(Config, HttpTransport)> = LazyLock::new(|| {
        let vault = Config::of_test("http://127.0.0.1:8200/proxied/");
        let transport = HttpTransport::new(&vault.connection, Notices::new(drop)).unwrap();
        (vault, transport)
    });
    let (vault, transport) = &*VAULT;
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(user_id) = UserId::parse(text, SERVER_NAME) else { return };
    let (mount, path) = (vault.mount.to_string(), vault.path_root.entry_of(&user_id));
    let v1 = GetSecretRequest { mount: mount.clone(), path: path.clone() };
    let v1 = Request::of(RequestKind::Read, &v1).unwrap();
    let v2 = ReadSecretRequest { mount, path, version: Some(3) };
    let v2 = Request::of(RequestKind::Read, &v2).unwrap();
    for (prefix, query, url) in [
        ("/proxied/v1/kv/deep/matrix/users/", None, url(vault, transport, &v1)),
        ("/proxied/v1/kv/deep/data/matrix/users/", Some("version=3"), url(vault, transport, &v2)),
    ] {
        assert_eq!((url.query(), url.fragment()), (query, None));
        let path = url.path().strip_prefix(prefix).unwrap();
        // Decoded once, as Vault does, it is the id: no two ids share one, none leaves the root.
        assert_eq!(percent_decode_str(path).decode_utf8().unwrap(), text);
        // And nothing on the way is tempted to resolve it.
        for segment in path.split('/') {
            let decoded = percent_decode_str(segment).decode_utf8().unwrap();
            assert!(!matches!(&*decoded, "" | "." | ".."), "{url}");
        }
    }
}

fn url(vault: &Config, transport: &HttpTransport, request: &Request) -> Url {
    let address = &vault.connection.addresses[0];
    transport.request(address, request, RequestHeaders::Nothing).unwrap().url().clone()
}

/// Checks what is made of an answer with this body, whatever status and date come with it.
pub fn check_body(body: &[u8]) {
    let mount = Mount::parse("kv/deep").unwrap();
    for (status, date) in
        [(200, Some(1_800_000_000)), (200, None), (404, Some(0)), (400, Some(u64::MAX))]
    {
        check_answer(&mount, &answer(status, date, body));
    }
}

fn check_answer(mount: &Mount, answer: &ServerResponse) {
    let body = Body::of(&answer.body);
    let is_success = answer.status == StatusCode::OK;

    for (found, holder, is_live) in [
        (response::entry_of_v1(mount, answer), "/data", true),
        (response::entry_of_v2(mount, answer), "/data/data", body.is_live(answer.date)),
    ] {
        if let Ok(Entry::Secret(secret)) = &found {
            let taken = secret.login_secret.expose_secret();
            assert!(is_success && is_live && !taken.is_empty());
            body.check_holds(taken, &format!("{holder}/login_secret"));
        }
        check_words(&found, &body);
    }

    let mounted = mounts::parse_response(mount, answer);
    if let (Ok(mounts::Mounted::Here(_)), Some(path)) = (&mounted, body.text("/data/path")) {
        // The first field, should a list stand for them.
        let path = if path.is_empty() { body.text("/data/data").unwrap_or_default() } else { path };
        assert_eq!(path.trim_end_matches('/'), "kv/deep");
    }
    check_words(&mounted.map(drop), &body);

    let granted = lease::granted("approle", answer);
    if let Ok(granted) = &granted {
        assert!(!format!("{:?}", granted.token).contains(SECRET));
    }
    check_words(&granted.map(drop), &body);

    let quote = error::quote(&answer.body);
    assert!(quote.chars().count() <= 204 && quote.chars().all(is_printable), "{quote:?}");
}

/// Nothing that we say or show of an answer has its secret in it, unless it is told as a name or
/// as an error.
fn check_words<T: std::fmt::Debug>(found: &Result<T, VaultError>, body: &Body) {
    let is_told = |name| body.raw.contains(name);
    if is_told("display_name") || is_told("errors") || body.is_list_of_errors {
        return;
    }
    assert!(!format!("{found:?}").contains(SECRET));
    if let Err(error) = found {
        assert!(matches!(error, VaultError::Unexpected(_)), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

/// What an answer holds, read in another way than by the types of its parts.
struct Body {
    raw: String,
    /// `None` if a part that nobody asks for cannot be read, which harms nobody.
    value: Option<Value>,
    is_list_of_errors: bool,
}

/// A list may stand for an object, and has the values of its fields in their order.
fn with_names(value: Value, names: &[&str]) -> Value {
    match value {
        Value::Array(items) => names.iter().map(|&name| name.to_owned()).zip(items).collect(),
        value => value,
    }
}

impl Body {
    fn of(bytes: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(bytes).into_owned();
        let value: Option<Value> = serde_json::from_str(&raw).ok();
        let is_list_of_errors = value.as_ref().is_some_and(|value| value[0].is_array());
        let value = value.map(|answer| {
            let mut answer = with_names(answer, &["data"]);
            if let Some(data) = answer.get_mut("data") {
                *data = with_names(data.take(), &["data", "metadata"]);
                if let Some(metadata) = data.get_mut("metadata") {
                    let names = ["created_time", "deletion_time", "custom_metadata", "destroyed"];
                    *metadata = with_names(metadata.take(), &names);
                }
            }
            answer
        });
        Self { raw, value, is_list_of_errors }
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        Some(self.value.as_ref()?.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
    }

    fn check_holds(&self, taken: &str, pointer: &str) {
        match self.text(pointer) {
            Some(held) => assert_eq!(taken, held),
            None => assert!(self.raw.contains(taken) || self.raw.contains('\\'), "{taken:?}"),
        }
    }

    /// Whether the answer itself says that its version is there.
    fn is_live(&self, date: Option<u64>) -> bool {
        let Some(value) = &self.value else { return true };
        let metadata = &value["data"]["metadata"];
        let deleted = metadata["deletion_time"].as_str().unwrap_or_default();
        let now = date.and_then(|date| UNIX_EPOCH.checked_add(Duration::from_secs(date)));
        let now = now.unwrap_or_else(SystemTime::now);
        let lies_ahead = humantime::parse_rfc3339(deleted).is_ok_and(|deleted| deleted > now);
        metadata["destroyed"] == json!(false) && (deleted.is_empty() || lies_ahead)
    }
}

fn answer(status: u16, date: Option<u64>, body: &[u8]) -> ServerResponse {
    ServerResponse {
        status: StatusCode::from_u16(status).unwrap(),
        body: Zeroizing::new(body.to_vec()),
        location: None,
        retry_after: None,
        date,
        headers: HeaderMap::new(),
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::fuzz::fuzz;

    #[test]
    fn every_user_has_a_path_of_their_own() {
        let words = &["@alice:example.org", ":example.org", "@", "/../", "/./", "//", "%2F", "\\"];
        let ids =
            hostile_localpart().prop_map(|part| format!("@{part}:{SERVER_NAME}").into_bytes());
        fuzz("user_id", words, ids, check_path);
    }

    /// Localparts made of what URL parsers, proxies and Vault have been known to take for more than
    /// letters.
    pub fn hostile_localpart() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            select(vec![
                "a", "/", ".", "..", "%2e", "%2F", "%", "%00", "\\", "?", "#", "&", "=", "+", ";",
                "*", "~", " ", "@", "|", "^", "[", "]", "{", "}", "\"", "'", "<", ">", "`", "ü",
                "日", "\t", "\n", "\r", "\0", "\u{7f}", "\u{85}", "\u{2028}", "\u{202e}",
            ])
            .prop_map(str::to_owned),
            any::<char>().prop_map(String::from),
        ];
        vec(part, 1..12).prop_map(|parts| parts.concat())
    }

    #[test]
    fn only_a_secret_of_a_live_version_is_taken_from_an_answer() {
        let words = &[
            "data",
            "metadata",
            "login_secret",
            "display_name",
            "destroyed",
            "deletion_time",
            "created_time",
            "version",
            "errors",
            "warnings",
            "path",
            "options",
            "auth",
            "client_token",
            "lease_duration",
            "renewable",
            "kv/deep/",
            "2",
            "s3cret",
            "2026-11-01T00:00:00.5Z",
            "2027-11-01T00:00:00Z",
            "+292277026596-01-01T00:00:00Z",
        ];
        fuzz("vault_answer", words, Just(b"{}".to_vec()), check_body);
    }
}
