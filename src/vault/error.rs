//! What may go wrong between us and Vault, in words that hold no secret.

use std::time::Duration;

use serde::Deserialize;

use crate::http::TransportError;
use crate::retry::Transient;
use crate::text;

/// What went wrong between us and Vault.
///
/// None holds a secret, a token, or a user's path: the same fault reads the same for all users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// There is no answer.
    #[error("{}", cause.describe(&format!("Vault at {address}")))]
    NoAnswer {
        /// The address tried.
        address: String,
        /// Why there is none.
        cause: TransportError,
    },
    /// An answer that says to come back later: 429, 412, 5xx, or the 307 of a standby without a
    /// leader.
    #[error("Vault at {address} is not available: {status}{quote}")]
    Unavailable {
        /// The address tried.
        address: String,
        /// The status of the answer.
        status: u16,
        /// What Vault said, if it said anything.
        quote: String,
        /// How long Vault asks us to wait.
        retry_after: Option<Duration>,
        /// Whether a secret that was read earlier may decide a login.
        allows_stale: bool,
        /// Whether Vault may have done what it was asked to.
        may_have_applied: bool,
    },
    /// An answer that is not of Vault's form, such as the page of a web server or firewall. It says
    /// nothing about the token or a secret.
    #[error(
        "what {address} gave is not an answer of Vault's ({}); \
         check the address and what stands before it",
        status_and_type(*status, content_type.as_deref())
    )]
    ForeignAnswer {
        /// The address tried.
        address: String,
        /// The status of the answer.
        status: u16,
        /// What the answer says it is, such as `text/html`.
        content_type: Option<String>,
        /// How long whoever answered asks to wait.
        retry_after: Option<Duration>,
        /// Whether a secret that was read earlier may decide a login.
        allows_stale: bool,
    },
    /// An address that leads to something else than Vault's API, and how to write it.
    #[error("{0}")]
    WrongAddress(String),
    /// A 403 for a token that is alive: a policy refuses.
    #[error("no policy of the module's token allows it to read the secret: 403{quote}")]
    Denied {
        /// What Vault said, if it said anything.
        quote: String,
    },
    /// Vault no longer knows the token, and there is no other one.
    #[error("Vault does not accept the module's token any more: {advice}")]
    TokenInvalid {
        /// What to do about it.
        advice: String,
    },
    /// Vault answers 403 to all that the token asks for, and has never done otherwise.
    #[error("Vault refuses all that the module's token asks for: {advice}")]
    TokenRefused {
        /// The likely causes.
        advice: String,
    },
    /// Vault does not let us log in.
    #[error("Vault refuses the module's {method} login: {status}{quote}; check vault_auth")]
    LoginRefused {
        /// The auth method.
        method: &'static str,
        /// The status of the answer.
        status: u16,
        /// What Vault said, if it said anything.
        quote: String,
    },
    /// An engine understood what is asked of it, and will not do it.
    #[error("{by} refuses: {status}{quote}")]
    Refused {
        /// Which engine.
        by: String,
        /// The status of the answer.
        status: u16,
        /// What it said, if it said anything.
        quote: String,
    },
    /// An answer that this request should never get.
    #[error("{0}")]
    Unexpected(String),
}

fn status_and_type(status: u16, content_type: Option<&str>) -> String {
    content_type.map_or_else(|| status.to_string(), |kind| format!("{status}, {kind}"))
}

impl VaultError {
    /// That the time for an answer was over.
    #[must_use]
    pub fn timed_out(address: String, limit: Duration) -> Self {
        Self::NoAnswer { address, cause: TransportError::TimedOut { limit } }
    }

    /// The same of a limit on requests, which lets no secret in memory decide.
    pub(super) fn of_a_limit(mut self) -> Self {
        if let Self::Unavailable { allows_stale, .. } | Self::ForeignAnswer { allows_stale, .. } =
            &mut self
        {
            *allows_stale = false;
        }
        self
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoAnswer { cause, .. } => cause.is_transient(),
            Self::Unavailable { .. } => true,
            // A limit on requests, whoever keeps it.
            Self::ForeignAnswer { status, .. } => *status == 429,
            _ => false,
        }
    }

    /// Whether another node of the cluster might answer better.
    pub(super) fn is_of_the_node(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::ForeignAnswer { .. } | Self::WrongAddress(_) => true,
            // A quota (429), an index that has not arrived (412) and an engine that is being given
            // versions (400) are the cluster's.
            Self::Unavailable { status, .. } => !matches!(status, 400 | 412 | 429),
            _ => false,
        }
    }

    /// Whether Vault may have done what it was asked to.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        match self {
            Self::NoAnswer { cause, .. } => cause.may_have_applied(),
            Self::Unavailable { may_have_applied, .. } => *may_have_applied,
            // A page with an error came in Vault's place. One with a success may have come after
            // it.
            Self::ForeignAnswer { status, .. } => *status < 300,
            _ => false,
        }
    }

    /// Whether a secret that was read earlier may decide a login, if that is configured: Vault did
    /// not answer, or says that it cannot now. An index that has not arrived (412) is an answer. So
    /// is a limit on requests (429, or a page while Vault reports its health), whoever keeps it:
    /// anybody can reach a limit by many logins.
    #[must_use]
    pub fn allows_stale(&self) -> bool {
        match self {
            Self::NoAnswer { cause, .. } => cause.is_of_the_server(),
            Self::Unavailable { allows_stale, .. } | Self::ForeignAnswer { allows_stale, .. } => {
                *allows_stale
            }
            Self::WrongAddress(_) => true,
            _ => false,
        }
    }

    /// How long Vault asks to wait before the next request.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::ForeignAnswer { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}

impl Transient for VaultError {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }

    fn is_unconnected(&self) -> bool {
        matches!(self, Self::NoAnswer { cause, .. } if cause.is_unconnected())
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after()
    }
}

/// The form of Vault's own errors: <https://developer.hashicorp.com/vault/api-docs#error-response>.
#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<String>,
}

/// The messages of an error that Vault itself answered; `None` when the body is not of that form.
pub fn messages(body: &[u8]) -> Option<Vec<String>> {
    serde_json::from_slice::<ErrorBody>(body).ok().map(|body| body.errors)
}

/// What Vault said in an error, as the end of a message: short, on one line, empty for nothing.
pub fn quote(body: &[u8]) -> String {
    match text::quote(&messages(body).unwrap_or_default().join("; ")) {
        text if text.is_empty() => text,
        text => format!(" ({text})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_of_vaults_own_errors() {
        assert_eq!(quote(br#"{"errors":["1 error:\n","denied"]}"#), " (1 error: ; denied)");
        assert_eq!(quote(br#"{"errors":[]}"#), "");
        assert_eq!(quote(b"<html>"), "");
    }
}
