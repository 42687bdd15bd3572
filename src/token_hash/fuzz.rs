//! Token hashes, against another implementation of HMAC, of hexadecimal digits, and of equality.

#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target tells by a panic what it has found"
)]

use aws_lc_rs::hmac;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{PresentedHash, token_hash};

/// What Vault holds for a user, and what a client sends.
#[derive(Serialize, Deserialize)]
struct Presented {
    login_secret: String,
    user_id: String,
    token_hash: String,
}

/// Checks that a login opens if, and only if, its hash is that of the secret and of the id.
pub fn check(input: &[u8]) {
    let Ok(Presented { login_secret, user_id, token_hash: sent }) = serde_json::from_slice(input)
    else {
        return;
    };
    let right = reference(&login_secret, &user_id);
    assert_eq!(token_hash(&login_secret, &user_id), digits(&right));
    let presented = PresentedHash::parse(&sent);
    assert_eq!(presented.is_some(), bytes(&sent).is_some());
    let Some(presented) = presented else { return };
    let opens = !login_secret.is_empty() && bytes(&sent).as_deref() == Some(&right[..]);
    assert_eq!(presented.matches(Some(&SecretString::from(login_secret)), &user_id), opens);
    assert!(!presented.matches(None, &user_id));
}

fn reference(login_secret: &str, user_id: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, login_secret.as_bytes());
    hmac::sign(&key, user_id.as_bytes()).as_ref().to_vec()
}

fn digits(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The 32 bytes that 64 hexadecimal digits stand for.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let values: Vec<u8> = digits
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    (values.len() == 64).then(|| values.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::fuzz::fuzz;

    const WORDS: &[&str] =
        &["login_secret", "user_id", "token_hash", "@alice:example.org", "secret"];

    #[test]
    fn only_the_hash_of_the_secret_and_of_the_id_opens() {
        fuzz("token_hash", WORDS, logins(), check);
    }

    /// Logins with a hash that is right, or once was right before something was done to it.
    fn logins() -> impl Strategy<Value = Vec<u8>> {
        // Around the length of a block, where HMAC begins to hash its key.
        let secret = prop_oneof![
            3 => ".{0,8}",
            1 => "[ -~]{62,66}",
            1 => select(vec!["", "\0", "s", "s\0"]).prop_map(str::to_owned),
        ];
        let user_id = prop_oneof![Just("@alice:example.org".to_owned()), "@.{0,8}:example\\.org"];
        (secret, user_id).prop_flat_map(|(login_secret, user_id)| {
            let right = digits(&reference(&login_secret, &user_id));
            let others = vec![
                right.clone(),
                right.to_uppercase(),
                digits(&reference("", &user_id)),
                digits(&reference(&login_secret, "")),
                digits(&reference(&format!("{login_secret}\0"), &user_id)),
                digits(&reference(&login_secret, &user_id.to_uppercase())),
                digits(&reference(&login_secret, &format!("{user_id}\n"))),
                digits(&reference(&user_id, &login_secret)),
                "0".repeat(64),
            ];
            let one_off = (any::<Index>(), any::<char>()).prop_map(move |(place, digit)| {
                let place = place.index(right.len());
                format!("{}{digit}{}", &right[..place], &right[place + 1..])
            });
            let sent = prop_oneof![2 => select(others), 1 => one_off, 1 => "[0-9a-fA-F]{63,65}"];
            sent.prop_map(move |token_hash| {
                let login_secret = login_secret.clone();
                let login = Presented { login_secret, user_id: user_id.clone(), token_hash };
                serde_json::to_vec(&login).unwrap()
            })
        })
    }
}
