//! The verdict: what Vault holds against what the client sent.

use secrecy::SecretString;

use super::outcome::{Code, Outcome};
use super::rotation::Former;
use crate::token_hash::PresentedHash;
use crate::user_id::UserId;
use crate::vault::{Entry, Secret, VaultError};

/// What is known of a login before Vault is asked.
pub struct Attempt {
    /// The canonical id, or for a user whom the homeserver does not have, the id that was sent.
    pub user_id: UserId,
    /// Whether the homeserver has the user.
    pub is_registered: bool,
    /// What the client sent.
    pub presented: PresentedHash,
}

/// Why it is not known what Vault holds for a user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Vault did not say.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It was not this login's turn to ask in time.
    #[error("as many lookups as max_concurrent_lookups allows were under way all the time")]
    Overloaded,
}

impl Attempt {
    /// Whether the client sent the hash of this secret, decided in constant time.
    pub fn fits(&self, secret: &SecretString) -> bool {
        self.presented.matches(Some(secret), self.user_id.as_str())
    }

    /// Decides, given what Vault holds for the user.
    ///
    /// One HMAC is computed and compared on every way through, so that the time taken does not
    /// tell an unknown user, a missing secret and a wrong hash apart.
    pub fn judge(&self, found: Result<&Entry, LookupError>) -> Outcome {
        let matches = self.is_hash_of(found.as_ref().ok().copied());
        match found {
            Err(error) => Outcome::from(&error),
            _ if !self.is_registered => {
                Outcome::new(Code::UnknownUser, "the homeserver has no such user")
            }
            Ok(Entry::Missing) => Outcome::new(Code::NoSecret, "Vault has no secret for the user"),
            Ok(Entry::Unusable(why)) => {
                Outcome::new(Code::UnusableSecret, format!("Vault's entry is unusable: {why}"))
            }
            Ok(Entry::Secret(_)) if matches => Outcome::new(Code::Ok, "the token hash is right"),
            Ok(Entry::Secret(_)) => {
                Outcome::new(Code::BadHash, "the token hash is not that of the user's secret")
            }
        }
    }

    /// Decides by the version before the newest one a login that the newest one refused.
    pub fn judge_by_former(
        &self,
        found: Result<&Entry, LookupError>,
        former: Former,
        refusal: &Outcome,
    ) -> Outcome {
        let matches = self.is_hash_of(found.as_ref().ok().copied());
        match found {
            Err(error) => Outcome::from(&error),
            Ok(_) if matches && self.is_registered => Outcome::new(
                Code::Ok,
                format!(
                    "the token hash is that of the secret before (version {}), \
                     which is accepted until {}",
                    former.number,
                    humantime::format_rfc3339_seconds(former.until)
                ),
            ),
            Ok(_) => refusal.clone(),
        }
    }

    /// Takes as long as a decision by the version before the newest one, and decides nothing.
    pub fn judge_in_vain(&self, refusal: &Outcome) -> Outcome {
        let _ = std::hint::black_box(self.is_hash_of(None));
        refusal.clone()
    }

    fn is_hash_of(&self, found: Option<&Entry>) -> bool {
        let secret = match found {
            Some(Entry::Secret(Secret { login_secret, .. })) => Some(login_secret),
            _ => None,
        };
        self.presented.matches(secret, self.user_id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_hash::token_hash;

    fn judge(is_registered: bool, secret_hashed: &str, found: Result<&Entry, LookupError>) -> Code {
        let user_id = UserId::parse("@alice:example.org", "example.org").unwrap();
        let hash = token_hash(secret_hashed, user_id.as_str());
        let presented = PresentedHash::parse(&hash).unwrap();
        Attempt { user_id, is_registered, presented }.judge(found).code
    }

    fn secret(text: &str) -> Entry {
        Entry::Secret(Secret { login_secret: text.into(), revision: None })
    }

    #[test]
    fn only_the_hash_of_the_secret_of_a_registered_user_opens() {
        assert_eq!(judge(true, "s", Ok(&secret("s"))), Code::Ok);
        assert_eq!(judge(true, "t", Ok(&secret("s"))), Code::BadHash);
        assert_eq!(judge(true, "", Ok(&secret(""))), Code::BadHash);
        assert_eq!(judge(true, "", Ok(&Entry::Missing)), Code::NoSecret);
        assert_eq!(judge(true, "", Ok(&Entry::Unusable("empty"))), Code::UnusableSecret);
        for found in [secret("s"), secret("t"), Entry::Missing, Entry::Unusable("")] {
            assert_eq!(judge(false, "s", Ok(&found)), Code::UnknownUser);
        }
    }

    #[test]
    fn trouble_with_vault_is_told_whoever_the_user_is() {
        let error = || VaultError::Denied { quote: String::new() }.into();
        assert_eq!(judge(true, "", Err(error())), Code::VaultDenied);
        assert_eq!(judge(false, "", Err(error())), Code::VaultDenied);
        assert_eq!(judge(true, "", Err(LookupError::Overloaded)), Code::Overloaded);
    }
}
