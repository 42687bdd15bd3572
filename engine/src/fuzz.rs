//! Requests that no host should send.

use proptest::prelude::*;
use serde_json::Value;

use crate::framework::parse_duration;
use crate::logical::LogicalError;
use crate::paths;
use crate::plugin::decoded;

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

/// Bytes that are nearly a request.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        any::<Vec<u8>>(),
        ".{0,40}".prop_map(String::into_bytes),
        r#"\{("[a-z_]{1,12}":("[^"]{0,20}"|[0-9.e+-]{1,12}|null|true|\[\]|\{\}),?){0,4}\}?"#
            .prop_map(String::into_bytes),
        prop::sample::select(vec!["read", "update", "revoke", "config/user/a/b", "null", "[[[["])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let fields = prop::collection::vec((1..24_u8, content), 0..8);
    fields.prop_map(|fields| {
        let request = fields.into_iter().flat_map(|(number, content)| field(number % 16, content));
        field(2, request.collect())
    })
}

fn check_bytes(bytes: &[u8]) {
    match decoded(bytes) {
        None => {}
        Some(Ok(request)) => check_path(&request.path),
        Some(Err(error)) => {
            // In our own words, which repeat nothing of what was sent.
            assert!(matches!(error, LogicalError::Invalid(_) | LogicalError::Status { .. }));
            assert!(error.to_string().len() < 80, "{error}");
        }
    }
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

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_an_error(bytes in any::<Vec<u8>>()) {
        check_bytes(&bytes);
    }

    #[test]
    fn what_is_nearly_a_request_is_one_or_an_error(bytes in nearly_requests()) {
        check_bytes(&bytes);
    }

    #[test]
    fn a_path_is_what_it_captures(
        path in "(config/homeserver|config/user|user|static|rotate|login|pending)/(.{0,9}/?){0,4}",
    ) {
        check_path(&path);
    }

    #[test]
    fn any_text_is_a_time_or_none(text in "[0-9.]{0,12}(ns|us|ms|s|m|h|d| |-|e9){0,2}.{0,6}") {
        // A host counts nanoseconds in 63 bits.
        if let Ok(duration) = parse_duration(&Value::String(text)) {
            prop_assert!(i64::try_from(duration.as_nanos()).is_ok());
        }
    }
}
