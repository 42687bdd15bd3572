//! The token hash: what a client presents instead of the secret that Vault holds.
//!
//! `token_hash = hex(HMAC-SHA256(key = UTF-8 of login_secret, message = UTF-8 of user id))`

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::memory::off_the_stack;

type HmacSha256 = Hmac<Sha256>;

/// Bytes of a SHA-256 digest.
const DIGEST_LENGTH: usize = 32;

/// Computes the token hash of `user_id` under `login_secret`, in lower-case hex.
#[must_use]
pub fn token_hash(login_secret: &str, user_id: &str) -> String {
    // HMAC takes a key of any length (RFC 2104), so the default, which is no hash, never shows.
    off_the_stack(|| mac(login_secret, user_id).map(|mac| mac.finalize().into_bytes()))
        .map(|digest| base16ct::lower::encode_string(&digest))
        .unwrap_or_default()
}

/// The key stays on the stack as it goes into the digest: call it in [`off_the_stack`].
fn mac(login_secret: &str, user_id: &str) -> Option<HmacSha256> {
    let mut mac = HmacSha256::new_from_slice(login_secret.as_bytes()).ok()?;
    mac.update(user_id.as_bytes());
    Some(mac)
}

/// Whether `presented` is the token hash of `user_id` under `login_secret`.
///
/// An empty secret has none, and neither case of the hex digits matters.
#[must_use]
pub fn verify_token_hash(login_secret: &str, user_id: &str, presented: &str) -> bool {
    PresentedHash::parse(presented).is_some_and(|presented| presented.is_of(login_secret, user_id))
}

/// A token hash that a client sent, known to be well formed and not yet known to be right.
///
/// It opens an account for as long as the secret lives, so it has no `Debug` and is wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PresentedHash([u8; DIGEST_LENGTH]);

impl PresentedHash {
    /// Takes 64 hex digits of either case; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut presented = Self([0; DIGEST_LENGTH]);
        let digits = base16ct::mixed::decode(text, &mut presented.0).ok()?.len();
        (digits == DIGEST_LENGTH).then_some(presented)
    }

    /// Whether this is the hash of `user_id` under `login_secret`, decided in constant time.
    ///
    /// `None`, and an empty secret with it, is never a match, and costs the same HMAC.
    #[must_use]
    pub fn matches(&self, login_secret: Option<&SecretString>, user_id: &str) -> bool {
        self.is_of(login_secret.map_or("", ExposeSecret::expose_secret), user_id)
    }

    fn is_of(&self, login_secret: &str, user_id: &str) -> bool {
        let equal = off_the_stack(|| {
            mac(login_secret, user_id).is_some_and(|mac| mac.verify_slice(&self.0).is_ok())
        });
        equal & !login_secret.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        login_secret: String,
        user_id: String,
        token_hash: String,
    }

    fn vectors() -> Vec<Case> {
        let text = include_str!("../tests/vectors/token_hash.json");
        serde_json::from_str::<Vectors>(text).unwrap().cases
    }

    fn matches(presented: &str, login_secret: &str, user_id: &str) -> bool {
        PresentedHash::parse(presented)
            .unwrap()
            .matches(Some(&SecretString::from(login_secret)), user_id)
    }

    #[test]
    fn vectors_agree() {
        for case in vectors() {
            assert_eq!(token_hash(&case.login_secret, &case.user_id), case.token_hash);
            assert!(matches(&case.token_hash, &case.login_secret, &case.user_id));
            assert!(matches(&case.token_hash.to_uppercase(), &case.login_secret, &case.user_id));
        }
    }

    #[test]
    fn an_empty_secret_opens_nothing() {
        let hash = token_hash("", "@alice:example.org");
        assert!(!matches(&hash, "", "@alice:example.org"));
        assert!(!PresentedHash::parse(&hash).unwrap().matches(None, "@alice:example.org"));
    }

    #[test]
    fn malformed_hashes_are_refused() {
        let good = token_hash("s", "@a:b");
        for bad in [
            "",
            " ",
            "0x",
            &good[..63],
            &format!("{good}0"),
            &format!("{good}\n"),
            &format!(" {good}"),
            &format!("{}g", &good[..63]),
            &"é".repeat(32),
            &"０".repeat(64),
        ] {
            assert!(PresentedHash::parse(bad).is_none(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn only_the_right_hash_matches(secret in ".+", other in ".+", user in ".*", flip in 0..256_usize) {
            let hash = token_hash(&secret, &user);
            prop_assert!(matches(&hash, &secret, &user));
            // A key longer than a block stands for its digest and one shorter is padded with
            // zeros (RFC 2104): only then may two secrets share their hashes.
            if secret.trim_end_matches('\0') != other.trim_end_matches('\0') {
                prop_assert!(!matches(&hash, &other, &user));
            }
            let mut digest = [0; DIGEST_LENGTH];
            base16ct::lower::decode(&hash, &mut digest).unwrap();
            digest[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(!matches(&base16ct::lower::encode_string(&digest), &secret, &user));
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let well_formed = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            prop_assert_eq!(PresentedHash::parse(&text).is_some(), well_formed);
        }
    }
}
