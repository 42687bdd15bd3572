//! The verdict: what Vault holds against what the client sent.

use secrecy::SecretString;

use super::outcome::{Code, LookupError, Outcome};
use super::rotation::PreviousVersion;
use crate::token_hash::PresentedHash;
use crate::user_id::{UserId, UserIdError};
use crate::vault::{Entry, Secret};

/// What is known of a login before Vault is asked.
pub struct LoginAttempt {
    /// The canonical id, or for a user whom the homeserver does not have, the id that was sent.
    pub user_id: UserId,
    /// Whether the homeserver has the user.
    pub is_registered: bool,
    /// Whether the right hash registers a user whom it does not have.
    pub may_register: bool,
    /// What the client sent.
    pub presented: PresentedHash,
}

impl LoginAttempt {
    /// Whether the client sent the hash of this secret, decided in constant time.
    pub fn fits(&self, secret: &SecretString) -> bool {
        self.presented.matches(Some(secret), self.user_id.as_str())
    }

    /// Whether the client sent the hash of the secret in this entry. Takes as long if it has none.
    pub fn fits_entry(&self, entry: &Entry) -> bool {
        self.is_hash_of(Some(entry))
    }

    /// Decides, given what Vault holds for the user.
    ///
    /// One HMAC is computed and compared on every way through, so that the time taken does not
    /// tell an unknown user, a missing secret and a wrong hash apart.
    pub fn judge(&self, found: Result<&Entry, LookupError>) -> Outcome {
        let matches = self.is_hash_of(found.as_ref().ok().copied());
        match found {
            Err(error) => Outcome::from(&error),
            Ok(Entry::Secret(secret)) if matches => self.accept(secret, "the token hash is right"),
            Ok(_) if !self.is_registered => unknown_user(),
            Ok(Entry::Missing) => Outcome::new(Code::NoSecret, "Vault has no secret for the user"),
            Ok(Entry::Unusable(why)) => {
                Outcome::new(Code::UnusableSecret, format!("Vault's entry is unusable: {why}"))
            }
            Ok(Entry::Secret(_)) => {
                Outcome::new(Code::BadHash, "the token hash is not that of the user's secret")
            }
        }
    }

    /// Decides by the version before the newest one a login that the newest one refused.
    pub fn judge_by_previous(
        &self,
        found: Result<&Entry, LookupError>,
        previous: PreviousVersion,
        refusal: &Outcome,
    ) -> Outcome {
        let matches = self.is_hash_of(found.as_ref().ok().copied());
        match found {
            Err(error) => Outcome::from(&error),
            Ok(Entry::Secret(secret)) if matches => {
                let number = previous.number;
                let until = humantime::format_rfc3339_seconds(previous.until);
                let reason = format!(
                    "the token hash is that of the secret before (version {number}), \
                     which is accepted until {until}"
                );
                self.accept(secret, &reason)
            }
            Ok(_) => refusal.clone(),
        }
    }

    /// Takes as long as a decision by the version before the newest one, and decides nothing.
    pub fn equalize_timing(&self, refusal: &Outcome) -> Outcome {
        let _ = std::hint::black_box(self.is_hash_of(None));
        refusal.clone()
    }

    /// The outcome of a login whose hash is right.
    fn accept(&self, secret: &Secret, reason: &str) -> Outcome {
        if self.is_registered {
            Outcome::new(Code::Ok, reason)
        } else if !self.may_register {
            unknown_user()
        } else if self.user_id.may_be_registered() {
            let reason = format!("the account is new, and {reason}");
            let display_name = secret.display_name.clone();
            Outcome { display_name, ..Outcome::new(Code::Registered, reason) }
        } else {
            Outcome::new(Code::RegistrationRefused, UserIdError::Historical.to_string())
        }
    }

    fn is_hash_of(&self, found: Option<&Entry>) -> bool {
        let secret = match found {
            Some(Entry::Secret(Secret { login_secret, .. })) => Some(login_secret),
            _ => None,
        };
        self.presented.matches(secret, self.user_id.as_str())
    }
}

fn unknown_user() -> Outcome {
    Outcome::new(Code::UnknownUser, "the homeserver has no such user")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_hash::token_hash;
    use crate::vault::VaultError;

    fn attempt(user_id: &str, secret_hashed: &str) -> LoginAttempt {
        let user_id = UserId::parse(user_id, "example.org").unwrap();
        let hash = token_hash(secret_hashed, user_id.as_str());
        let presented = PresentedHash::parse(&hash).unwrap();
        LoginAttempt { user_id, is_registered: true, may_register: false, presented }
    }

    fn judge(is_registered: bool, secret_hashed: &str, found: Result<&Entry, LookupError>) -> Code {
        let attempt = attempt("@alice:example.org", secret_hashed);
        LoginAttempt { is_registered, ..attempt }.judge(found).code
    }

    fn secret(text: &str) -> Entry {
        let display_name = Some("Alice".to_owned());
        let login_secret = text.into();
        Entry::Secret(Secret { login_secret, display_name, revision: None, deleted_in: None })
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
    fn a_failure_of_vault_is_told_whoever_the_user_is() {
        let error = || VaultError::Denied { quote: String::new() }.into();
        assert_eq!(judge(true, "", Err(error())), Code::VaultDenied);
        assert_eq!(judge(false, "", Err(error())), Code::VaultDenied);
        assert_eq!(judge(true, "", Err(LookupError::Overloaded)), Code::Overloaded);
    }

    #[test]
    fn only_the_right_hash_registers_a_user_and_only_of_todays_grammar() {
        let judge = |user_id: &str, hashed: &str, found: &Entry| {
            let attempt = attempt(user_id, hashed);
            LoginAttempt { is_registered: false, may_register: true, ..attempt }.judge(Ok(found))
        };
        let registered = judge("@alice:example.org", "s", &secret("s"));
        assert_eq!(registered.code, Code::Registered);
        assert_eq!(registered.display_name.as_deref(), Some("Alice"));
        assert_eq!(judge("@Alice:example.org", "s", &secret("s")).code, Code::RegistrationRefused);
        for (hashed, found) in [("t", secret("s")), ("", Entry::Missing), ("", Entry::Unusable(""))]
        {
            assert_eq!(judge("@alice:example.org", hashed, &found).code, Code::UnknownUser);
        }
    }

    #[test]
    fn the_right_hash_of_the_version_before_counts_like_that_of_the_newest() {
        let previous = PreviousVersion { number: 3, until: std::time::SystemTime::UNIX_EPOCH };
        let refusal = Outcome::new(Code::BadHash, "");
        let judge = |hashed: &str, found: Result<&Entry, LookupError>| {
            let attempt = attempt("@alice:example.org", hashed);
            attempt.judge_by_previous(found, previous, &refusal)
        };
        let accepted = judge("s", Ok(&secret("s")));
        assert_eq!(accepted.code, Code::Ok);
        assert!(
            accepted.reason.ends_with("(version 3), which is accepted until 1970-01-01T00:00:00Z")
        );
        assert_eq!(judge("t", Ok(&secret("s"))), refusal);
        assert_eq!(judge("", Ok(&Entry::Missing)), refusal);
        assert_eq!(judge("s", Err(LookupError::Overloaded)).code, Code::Overloaded);
        assert_eq!(attempt("@alice:example.org", "").equalize_timing(&refusal), refusal);
    }
}
