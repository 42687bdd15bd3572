//! How a login ended, for the homeserver, the log and the metrics alike.

use crate::http::TransportError;
use crate::user_id::UserIdError;
use crate::vault::VaultError;

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

/// How a login ended. The names are those in logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The hash is that of the user's secret.
    Ok,
    /// The hash is not that of the user's secret.
    BadHash,
    /// The token hash is not a string of 64 hex digits.
    MalformedHash,
    /// The homeserver has no such user.
    UnknownUser,
    /// The user belongs to another homeserver.
    ForeignUser,
    /// The user id could be mistaken for another on its way to Vault.
    UnsafeUserId,
    /// Vault has no entry for the user, or its newest version is deleted or destroyed.
    NoSecret,
    /// Vault has an entry for the user that can open nothing.
    UnusableSecret,
    /// Vault answered 403.
    VaultDenied,
    /// Vault cannot be reached or says that it cannot answer now.
    VaultUnavailable,
    /// Vault answered what it should not.
    VaultError,
    /// Vault did not answer within `login_timeout`.
    Timeout,
    /// Too many others were being looked up all the time.
    Overloaded,
    /// The hash is right, and the homeserver, which has no such user, is to register them.
    Registered,
    /// The hash is right, and there will be no account of that name.
    RegistrationRefused,
    /// Matrix Authentication Service cannot be reached, or says that it cannot answer now.
    MasUnavailable,
    /// Matrix Authentication Service does not do what it is asked to.
    MasRefused,
    /// The hash is right, and the account is locked.
    UserLocked,
    /// The hash is right, and the account is closed.
    UserDeactivated,
    /// Too many logins came from there, or for that user.
    RateLimited,
    /// The request is not of the form that it must have.
    BadRequest,
}

/// How much an administrator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody logged in.
    Accepted,
    /// Somebody was rightly turned away.
    Refused,
    /// Somebody was turned away because something is broken.
    Failed,
}

impl Code {
    /// All there are.
    pub const ALL: [Self; 21] = [
        Self::Ok,
        Self::BadHash,
        Self::MalformedHash,
        Self::UnknownUser,
        Self::ForeignUser,
        Self::UnsafeUserId,
        Self::NoSecret,
        Self::UnusableSecret,
        Self::VaultDenied,
        Self::VaultUnavailable,
        Self::VaultError,
        Self::Timeout,
        Self::Overloaded,
        Self::Registered,
        Self::RegistrationRefused,
        Self::MasUnavailable,
        Self::MasRefused,
        Self::UserLocked,
        Self::UserDeactivated,
        Self::RateLimited,
        Self::BadRequest,
    ];

    /// The code of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::BadHash => "bad_hash",
            Self::MalformedHash => "malformed_hash",
            Self::UnknownUser => "unknown_user",
            Self::ForeignUser => "foreign_user",
            Self::UnsafeUserId => "unsafe_user_id",
            Self::NoSecret => "no_secret",
            Self::UnusableSecret => "unusable_secret",
            Self::VaultDenied => "vault_denied",
            Self::VaultUnavailable => "vault_unavailable",
            Self::VaultError => "vault_error",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Registered => "registered",
            Self::RegistrationRefused => "registration_refused",
            Self::MasUnavailable => "mas_unavailable",
            Self::MasRefused => "mas_refused",
            Self::UserLocked => "user_locked",
            Self::UserDeactivated => "user_deactivated",
            Self::RateLimited => "rate_limited",
            Self::BadRequest => "bad_request",
        }
    }

    /// How much an administrator should care.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Ok | Self::Registered => Severity::Accepted,
            Self::BadHash
            | Self::MalformedHash
            | Self::UnknownUser
            | Self::ForeignUser
            | Self::UnsafeUserId
            | Self::NoSecret
            | Self::UnusableSecret
            | Self::RegistrationRefused
            | Self::UserLocked
            | Self::UserDeactivated
            | Self::RateLimited
            | Self::BadRequest => Severity::Refused,
            Self::VaultDenied
            | Self::VaultUnavailable
            | Self::VaultError
            | Self::Timeout
            | Self::Overloaded
            | Self::MasUnavailable
            | Self::MasRefused => Severity::Failed,
        }
    }
}

/// Why there is no answer of a service that keeps to its time.
pub(super) const UNANSWERED: &str =
    "the login service did not answer within login_timeout; please report this";

/// How one login ended, and why, in words that hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub code: Code,
    /// Why. Holds nothing that is specific to a user.
    pub reason: String,
    /// The path in Vault that was read, if one was.
    pub path: Option<String>,
    /// What the new account of [`Code::Registered`] is called, if Vault says so.
    pub display_name: Option<String>,
}

impl Outcome {
    /// An outcome that Vault had no part in.
    #[must_use]
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), path: None, display_name: None }
    }

    /// A login that the service never answered, although it keeps to `login_timeout`.
    #[must_use]
    pub fn unanswered() -> Self {
        Self::new(Code::Timeout, UNANSWERED)
    }

    /// This login, after the homeserver would not register the user.
    #[must_use]
    pub fn refused_registration(&self, reason: &str) -> Self {
        let reason = format!("the homeserver does not register the user: {reason}");
        self.becoming(Code::RegistrationRefused, reason)
    }

    /// This login, after another one had the user registered just before.
    #[must_use]
    pub fn registered_before(&self) -> Self {
        let reason = "the token hash is right (another login registered the user just before)";
        self.becoming(Code::Ok, reason)
    }

    /// What becomes of this login.
    #[must_use]
    pub fn becoming(&self, code: Code, reason: impl Into<String>) -> Self {
        Self { path: self.path.clone(), ..Self::new(code, reason) }
    }

    /// The token hash that came was not of its form.
    #[must_use]
    pub fn malformed_hash() -> Self {
        Self::new(Code::MalformedHash, "token_hash must be a string of 64 hex digits")
    }
}

impl From<UserIdError> for Outcome {
    fn from(error: UserIdError) -> Self {
        let code = match error {
            UserIdError::Foreign => Code::ForeignUser,
            UserIdError::Malformed
            | UserIdError::TooLong
            | UserIdError::Unprintable
            | UserIdError::PathSegment
            | UserIdError::Historical => Code::UnsafeUserId,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&LookupError> for Outcome {
    fn from(error: &LookupError) -> Self {
        let code = match error {
            LookupError::Overloaded => Code::Overloaded,
            LookupError::Vault(error) => match error {
                VaultError::NoAnswer { cause: TransportError::TimedOut { .. }, .. } => {
                    Code::Timeout
                }
                VaultError::NoAnswer {
                    cause: TransportError::TooLong(_) | TransportError::Protocol { .. },
                    ..
                } => Code::VaultError,
                VaultError::NoAnswer { .. }
                | VaultError::Unavailable { .. }
                | VaultError::ForeignAnswer { status: 429, .. } => Code::VaultUnavailable,
                VaultError::Denied { .. }
                | VaultError::TokenInvalid { .. }
                | VaultError::TokenRefused { .. }
                | VaultError::LoginRefused { .. } => Code::VaultDenied,
                VaultError::ForeignAnswer { .. }
                | VaultError::WrongAddress(_)
                | VaultError::Refused { .. }
                | VaultError::Unexpected(_) => Code::VaultError,
            },
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_listed_once() {
        for (place, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place);
        }
    }
}
