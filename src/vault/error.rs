//! What may go wrong between us and Vault, in words that hold no secret.

use std::time::Duration;

use serde::Deserialize;

/// Longest text that an answer of Vault's adds to one of our messages, in characters.
const LONGEST_QUOTE: usize = 200;

/// What went wrong between us and Vault.
///
/// None holds a secret, a token, or a user's path: the same trouble reads the same for all users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// No connection, or one that broke.
    #[error("cannot reach Vault at {address}: {cause}")]
    Unreachable {
        /// The address tried.
        address: String,
        /// What the operating system or TLS said.
        cause: String,
    },
    /// The time that Vault had was over.
    #[error("Vault at {address} did not answer within {limit:?}")]
    TimedOut {
        /// The address tried.
        address: String,
        /// The time it had.
        limit: Duration,
    },
    /// An answer that says "not now": 429, 412, 5xx, or the 307 of a standby without a leader.
    #[error("Vault at {address} is not available: {status}{quote}")]
    Unavailable {
        /// The address tried.
        address: String,
        /// The status of the answer.
        status: u16,
        /// What Vault said, if it said anything.
        quote: String,
    },
    /// A 403: a policy refuses, or the token is no longer good.
    #[error("Vault refuses to let the module's token read the secret: 403{quote}")]
    Denied {
        /// What Vault said, if it said anything.
        quote: String,
    },
    /// An answer that this request should never get.
    #[error("{0}")]
    Unexpected(String),
}

impl VaultError {
    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unavailable { .. })
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
    let text = messages(body).unwrap_or_default().join("; ");
    if text.is_empty() {
        return String::new();
    }
    let mut quoted: String = text
        .chars()
        .take(LONGEST_QUOTE)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    format!(" ({})", quoted.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_and_on_one_line() {
        assert_eq!(
            quote(br#"{"errors":["1 error occurred:\n\t* denied\n\n"]}"#),
            " (1 error occurred: * denied)"
        );
        assert_eq!(quote(br#"{"errors":[]}"#), "");
        assert_eq!(quote(b"<html>"), "");
        assert!(
            quote(format!(r#"{{"errors":["{}"]}}"#, "é".repeat(9999)).as_bytes()).chars().count()
                < 210
        );
    }
}
