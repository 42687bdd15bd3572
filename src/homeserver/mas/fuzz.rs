//! What clients send, against the scopes and names of sessions.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target tells by a panic what it has found"
)]

use serde::{Deserialize, Serialize};

use super::{DeviceId, Scope, SessionName, SessionPurpose};

const CLIENT_API: &str = "urn:matrix:client:api:*";
const DEVICE: &str = "urn:matrix:client:device:";
const ADMIN: &str = "urn:synapse:admin:*";

/// What a client sends for its session.
#[derive(Serialize, Deserialize)]
struct Sent {
    device_id: String,
    display_name: Option<String>,
    is_known: bool,
}

/// Checks that whatever a client sends adds nothing to the scope of its session, and makes no session
/// look like one that is kept.
pub fn check(input: &[u8]) {
    let Ok(Sent { device_id, display_name, is_known }) = serde_json::from_slice(input) else {
        return;
    };
    if let Some(name) = display_name {
        check_name(&name);
    }
    let Ok(device) = DeviceId::parse(&device_id, is_known) else { return };
    let fewest = if is_known { 1 } else { 10 };
    assert!((fewest..=255).contains(&device_id.len()), "{device_id:?}");
    assert_eq!(device.as_str(), device_id);
    let scope = Scope::of_client(device);
    let word = format!("{DEVICE}{device_id}");
    assert_eq!(words(&scope.to_string()), [CLIENT_API, &word]);
    assert_eq!(words(&scope.with_synapse_admin().to_string()), [CLIENT_API, &word, ADMIN]);
}

/// The words of a scope, by any white space and not only by spaces: MAS must not read it otherwise.
fn words(scope: &str) -> Vec<&str> {
    assert!(scope.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{scope:?}");
    assert!(!scope.contains(['"', '\\', '%', '<', '>']), "{scope:?}");
    scope.split_whitespace().collect()
}

fn check_name(display_name: &str) {
    let name = SessionName::new(display_name, SessionPurpose::Login).unwrap();
    let text = name.to_string();
    assert!(text.chars().all(|character| !character.is_control()), "{text:?}");
    assert!(name.label().chars().count() <= 100, "{text:?}");
    assert_eq!(SessionName::purpose_of(&text), Some(SessionPurpose::Login));
    assert!(name.marks(&text));
    let other = SessionName::new(display_name, SessionPurpose::Login).unwrap();
    assert!(!other.marks(&text), "{text:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::fuzz::fuzz;

    const WORDS: &[&str] = &[
        "device_id",
        "display_name",
        "is_known",
        "urn:synapse:admin:*",
        "urn:mas:admin",
        "urn:matrix:client:api:*",
        "urn:matrix:client:device:",
        "vault-kept-",
        "vault-login-",
        "AAAAAAAAAA",
        " ",
        "\\u0000",
        "\\u00a0",
        "\\u2028",
        "%20",
    ];

    #[test]
    fn nothing_that_a_client_sends_adds_a_word_to_the_scope() {
        fuzz("mas_scope", WORDS, logins(), check);
    }

    /// Device ids that are fine at their beginning, with what might end a word.
    fn logins() -> impl Strategy<Value = Vec<u8>> {
        let separator = select(vec![
            " ", "\t", "\n", "\r", "\r\n", "\u{b}", "\u{c}", "\0", "\u{85}", "\u{a0}", "\u{1680}",
            "\u{2003}", "\u{2028}", "\u{3000}", "\u{feff}", "%20", "+", ",", ";", "\\", "\"", "",
        ]);
        let added =
            select(vec!["urn:synapse:admin:*", "urn:mas:admin", "urn:matrix:client:device:B", ""]);
        let device_id = prop_oneof![
            3 => ("[A-Za-z0-9._~-]{0,12}", separator, added).prop_map(|(a, b, c)| a + b + c),
            1 => ".{0,20}",
            1 => "[ -~]{0,300}",
        ];
        let display_name = prop::option::of(prop_oneof![
            ".{0,120}",
            select(WORDS).prop_map(|word| format!("x {word}AAAAAAAAAAAAAAAAAAAAAA")),
        ]);
        (device_id, display_name, any::<bool>()).prop_map(|(device_id, display_name, is_known)| {
            serde_json::to_vec(&Sent { device_id, display_name, is_known }).unwrap()
        })
    }
}
