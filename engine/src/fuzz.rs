//! Requests that no host should send.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a target tells by a panic what it has found"
)]

use serde_json::Value;

use crate::backend::leases;
use crate::framework::parse_duration;
use crate::logical::{LogicalError, Request};
use crate::paths;
use crate::plugin::decoded;

/// In every secret of the corpus.
const SECRET: &str = "s3cret";

/// Checks that whatever a host sends is understood as it is meant, or refused in our own words, which
/// repeat nothing of it.
pub fn check(input: &[u8]) {
    match decoded(input) {
        None => {}
        Some(Ok(request)) => {
            check_path(&request.path);
            request.data.values().for_each(check_duration);
            check_lease(&request);
        }
        Some(Err(error)) => {
            assert!(matches!(error, LogicalError::Invalid(_) | LogicalError::Status { .. }));
            check_words(&error);
        }
    }
}

fn check_words(error: &LogicalError) {
    let words = error.to_string();
    assert!(words.len() < 120 && !words.contains(SECRET), "{words}");
}

/// What a path captures and the rest of it are the path again: nothing is dropped or resolved.
fn check_path(path: &str) {
    for pattern in paths::ALL.iter().map(|path| path.pattern) {
        let Some(captured) = pattern.matches(path) else { continue };
        if pattern.captures.is_empty() {
            assert_eq!(path.trim_end_matches('/'), pattern.prefix.trim_end_matches('/'));
            continue;
        }
        assert_eq!(format!("{}{}", pattern.prefix, captured.join("/")), path);
        for (capture, text) in pattern.captures.iter().zip(captured) {
            assert!(!text.is_empty() && (capture.may_hold_slashes || !text.contains('/')));
        }
    }
}

/// A host counts nanoseconds in 63 bits.
fn check_duration(value: &Value) {
    if let Ok(duration) = parse_duration(value) {
        assert!(i64::try_from(duration.as_nanos()).is_ok());
    }
}

/// An error after which a host tries again, or a lease that it takes.
fn check_lease(request: &Request) {
    match leases::of_host(request) {
        Err(error) => {
            assert!(matches!(error, LogicalError::Status { status: 500, .. }), "{error}");
            check_words(&error);
        }
        Ok(lease) => assert!(lease.is_renewable && !lease.internal_data.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::made_up_input::fuzz;

    const WORDS: &[&str] = &[
        "create",
        "update",
        "read",
        "list",
        "delete",
        "renew",
        "revoke",
        "rollback",
        "help",
        "null",
        "config/homeserver/",
        "config/user/",
        "user/",
        "static/",
        "rotate/",
        "login/",
        "pending/",
        "example.org",
        "@alice:example.org",
        "cs_url",
        "ca_cert",
        "request_timeout",
        "ttl",
        "max_ttl",
        "login_secret",
        "device_name",
        "create_only",
        "version",
        "session",
        "open",
        "issued_ms",
        "ttl_ms",
        "max_ttl_ms",
        "access_token",
        "1h30m",
        "1e9d",
        "9999999999h",
        "\u{b5}s",
    ];

    #[test]
    fn whatever_a_host_sends_is_a_request_or_an_error() {
        let known = prop_oneof![
            nearly_requests(),
            "(config/homeserver|config/user|user|static|rotate|login|pending)/(.{0,9}/?){0,4}"
                .prop_map(|path| args(&[field(4, path.into_bytes())])),
            "[0-9.]{0,12}(ns|us|ms|s|m|h|d| |-|e9){0,2}.{0,6}"
                .prop_map(|time| args(&[field(5, json(&time))])),
        ];
        fuzz("engine_request", WORDS, known, check);
    }

    /// A field of a message of protobuf: its number, how it is written, and what it holds.
    fn field(number: u8, content: Vec<u8>) -> Vec<u8> {
        let mut written = vec![(number << 3) | 2];
        let mut length = content.len();
        while length >= 0x80 {
            written.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        written.push(u8::try_from(length).unwrap());
        written.extend(content);
        written
    }

    /// A call with a request of these fields.
    fn args(fields: &[Vec<u8>]) -> Vec<u8> {
        field(2, fields.concat())
    }

    fn json(time: &str) -> Vec<u8> {
        serde_json::json!({ "ttl": time }).to_string().into_bytes()
    }

    /// Bytes that are nearly a request.
    fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
        let content =
            prop_oneof![
            any::<Vec<u8>>(),
            ".{0,40}".prop_map(String::into_bytes),
            r#"\{("[a-z_]{1,12}":("[^"]{0,20}"|[0-9.e+-]{1,12}|null|true|\[\]|\{\}),?){0,4}\}?"#
                .prop_map(String::into_bytes),
            prop::sample::select(vec!["read", "update", "revoke", "config/user/a/b", "null", "[[["])
                .prop_map(|text| text.as_bytes().to_vec()),
        ];
        let fields = prop::collection::vec((0..16_u8, content), 0..8);
        fields.prop_map(|fields| {
            let written = fields.into_iter().map(|(number, content)| field(number, content));
            args(&written.collect::<Vec<_>>())
        })
    }
}
