//! Whether logins could be decided now, for those who watch over the homeserver.

use std::time::Duration;

use super::outcome::UNANSWERED;
use crate::homeserver::mas::MasError;
use crate::vault::VaultError;

/// How long an answer is good for. It takes one request to Vault, or two while it is not known
/// which version the KV engine is of.
const GOOD_FOR: Duration = Duration::from_secs(1);
const GOOD_FOR_WITH_MOUNT: Duration = Duration::from_secs(2);

/// The same for a 403: whether the token is dead takes two more requests, and another one up to
/// three.
const GOOD_FOR_IF_FORBIDDEN: Duration = Duration::from_secs(5);

/// Whether logins could be decided now. All but `reason` may be public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether Vault answers, whatever it says.
    pub vault_reachable: bool,
    /// Whether it accepts the module's token; `None` if that is not known.
    pub token_valid: Option<bool>,
    /// Whether users' entries can be read.
    pub kv_readable: bool,
    /// Whether Matrix Authentication Service answers, whatever it says, and whether it lets the module
    /// use its admin API; `None` without it.
    pub mas: Option<MasHealth>,
    /// What is wrong, for the log alone; `None` if nothing is.
    pub reason: Option<String>,
    /// How long Vault need not be asked again.
    pub good_for: Duration,
}

/// Whether sessions could be opened at Matrix Authentication Service. Both may be public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasHealth {
    /// Whether it answers, whatever it says.
    pub reachable: bool,
    /// Whether it accepts the module's client; `None` if that is not known.
    pub client_valid: Option<bool>,
}

impl MasHealth {
    fn of(asked: Result<(), &MasError>) -> Self {
        let (reachable, client_valid) = match asked {
            Ok(()) => (true, Some(true)),
            Err(MasError::NoAnswer { .. }) => (false, None),
            Err(MasError::ClientRefused { .. } | MasError::Refused { status: 401 | 403, .. }) => {
                (true, Some(false))
            }
            Err(MasError::Refused { .. } | MasError::Unexpected { .. }) => (true, None),
        };
        Self { reachable, client_valid }
    }
}

impl Health {
    /// Reads the outcome of reading an entry that need not exist.
    #[must_use]
    pub fn of(read: Result<(), VaultError>, engine_was_known: bool) -> Self {
        let (vault_reachable, token_valid, good_for) = match &read {
            Ok(()) => (true, Some(true), GOOD_FOR),
            Err(VaultError::NoAnswer { cause, .. }) if cause.is_of_the_server() => {
                (false, None, GOOD_FOR)
            }
            Err(
                VaultError::NoAnswer { .. }
                | VaultError::Unavailable { .. }
                | VaultError::ForeignAnswer { .. }
                | VaultError::WrongAddress(_)
                | VaultError::Refused { .. }
                | VaultError::Unexpected(_),
            ) => (true, None, GOOD_FOR),
            Err(VaultError::Denied { .. }) => (true, Some(true), GOOD_FOR_IF_FORBIDDEN),
            Err(
                VaultError::TokenInvalid { .. }
                | VaultError::TokenRefused { .. }
                | VaultError::LoginRefused { .. },
            ) => (true, Some(false), GOOD_FOR_IF_FORBIDDEN),
        };
        Self {
            vault_reachable,
            token_valid,
            kv_readable: read.is_ok(),
            mas: None,
            reason: read.err().map(|error| error.to_string()),
            good_for: if engine_was_known { good_for } else { good_for.max(GOOD_FOR_WITH_MOUNT) },
        }
    }

    /// The same with what Matrix Authentication Service answered.
    #[must_use]
    pub fn with_mas(self, asked: Result<(), MasError>) -> Self {
        let mas = Some(MasHealth::of(asked.as_ref().copied()));
        let of_mas = asked.err().map(|error| error.to_string());
        let reason = match (self.reason, of_mas) {
            (Some(of_vault), Some(of_mas)) => Some(format!("{of_vault}; and {of_mas}")),
            (of_vault, of_mas) => of_vault.or(of_mas),
        };
        Self { mas, reason, ..self }
    }

    /// Of a service that does not run.
    #[must_use]
    pub fn not_running() -> Self {
        Self::unknown("the homeserver is starting or stopping")
    }

    /// Of a service that does not answer.
    #[must_use]
    pub fn unanswered() -> Self {
        Self::unknown(UNANSWERED)
    }

    fn unknown(reason: &str) -> Self {
        Self {
            vault_reachable: false,
            token_valid: None,
            kv_readable: false,
            mas: None,
            reason: Some(reason.to_owned()),
            good_for: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_told_as_far_as_it_is_known() {
        let quote = String::new;
        for (read, reachable, token_valid, seconds) in [
            (Ok(()), true, Some(true), 1),
            (Err(VaultError::timed_out(quote(), GOOD_FOR)), false, None, 1),
            (Err(VaultError::Unexpected(quote())), true, None, 1),
            (Err(VaultError::Denied { quote: quote() }), true, Some(true), 5),
            (Err(VaultError::TokenInvalid { advice: quote() }), true, Some(false), 5),
        ] {
            let is_readable = read.is_ok();
            let health = Health::of(read, true);
            assert_eq!(health.vault_reachable, reachable);
            assert_eq!(health.token_valid, token_valid);
            assert_eq!(health.kv_readable, is_readable);
            assert_eq!(health.reason.is_none(), is_readable);
            assert_eq!(health.good_for.as_secs(), seconds);
        }
        assert_eq!(Health::of(Ok(()), false).good_for, GOOD_FOR_WITH_MOUNT);
    }

    #[test]
    fn a_failure_of_mas_is_told_beside_that_of_vault() {
        let refused = || MasError::ClientRefused {
            client_id: "0000000000000000000SYNAPSE".to_owned(),
            status: 401,
            message: "invalid_client".to_owned(),
        };
        let health = Health::of(Ok(()), true).with_mas(Ok(()));
        assert_eq!(health.mas, Some(MasHealth { reachable: true, client_valid: Some(true) }));
        assert_eq!(health.reason, None);
        let health = Health::of(Ok(()), true).with_mas(Err(refused()));
        assert_eq!(health.mas, Some(MasHealth { reachable: true, client_valid: Some(false) }));
        assert!(health.kv_readable && health.reason.unwrap().contains("invalid_client"));
        let health = Health::of(Err(VaultError::timed_out(String::new(), GOOD_FOR)), true);
        let reason = health.with_mas(Err(refused())).reason.unwrap();
        assert!(reason.contains("did not answer") && reason.contains("invalid_client"), "{reason}");
    }
}
