//! What may go wrong between us and the homeserver, in words that hold no secret.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::status::{is_transient, may_follow_the_deed};
use crate::http::{ServerResponse, TransportError};
use crate::retry::Transient;
use crate::text::quote;

/// Longest error code that is passed on, in bytes.
const LONGEST_ERRCODE: usize = 100;

/// What went wrong between us and the homeserver. Holds no secret; may hold a user id.
///
/// `may_have_applied` in all of them: whether the homeserver may have done what it was asked to all
/// the same. A GET changes nothing, so it is never one of those.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HomeserverError {
    /// An answer of any status that is no success, whoever gave it: a proxy's has no `errcode`.
    #[error("the homeserver answered {status}{}", said(errcode.as_deref(), message))]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The error code, such as `M_FORBIDDEN`:
        /// <https://spec.matrix.org/v1.16/client-server-api/#standard-error-response>.
        errcode: Option<String>,
        /// The homeserver's own words, short and on one line; empty if it has none, or if they
        /// repeat a secret that was sent.
        message: String,
        /// How long the homeserver asks us to wait.
        retry_after: Option<Duration>,
        /// Whether it may have been done all the same: an error of the server's (5xx) that may have
        /// come after the deed.
        may_have_applied: bool,
    },
    /// There is no answer.
    #[error("{}", cause.describe(&format!("the homeserver at {homeserver}")))]
    NoAnswer {
        /// The address tried.
        homeserver: String,
        /// Why there is none.
        cause: TransportError,
        /// Whether it may have been done all the same.
        may_have_applied: bool,
    },
    /// An answer that this request should never get, or a request that cannot be built.
    #[error("{what}")]
    Unexpected {
        /// What is wrong, as a sentence.
        what: String,
        /// Whether it may have been done all the same: a success was answered, with a body that is
        /// not of Matrix.
        may_have_applied: bool,
    },
}

impl HomeserverError {
    /// The error that an answer without success is.
    ///
    /// A server may repeat what it was sent. Words with one of `secrets` in them are left out
    /// altogether: a gap where a word is expected would tell.
    pub(super) fn refused(answer: &ServerResponse, is_read: bool, secrets: &[&str]) -> Self {
        let body = serde_json::from_slice::<ErrorBody>(&answer.body).unwrap_or_default();
        let errcode = body.errcode.as_str().filter(|errcode| is_errcode(errcode));
        let errcode = errcode.filter(|errcode| !repeats(errcode, secrets));
        let message = body.error.as_str().filter(|message| !repeats(message, secrets));
        let retry_after = body.retry_after_ms.as_u64().map(Duration::from_millis);
        Self::Refused {
            status: answer.status.as_u16(),
            errcode: errcode.map(ToOwned::to_owned),
            message: quote(message.unwrap_or_default()),
            retry_after: retry_after.or(answer.retry_after),
            may_have_applied: !is_read && may_follow_the_deed(answer.status),
        }
    }

    /// An error before anything was sent.
    pub(super) fn unsent(what: impl Into<String>) -> Self {
        Self::Unexpected { what: what.into(), may_have_applied: false }
    }

    /// The status that was answered, if this is an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The error code that was answered, such as `M_FORBIDDEN`.
    #[must_use]
    pub fn errcode(&self) -> Option<&str> {
        match self {
            Self::Refused { errcode, .. } => errcode.as_deref(),
            _ => None,
        }
    }

    /// Whether the homeserver may have done what it was asked to.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        match self {
            Self::Refused { may_have_applied, .. }
            | Self::NoAnswer { may_have_applied, .. }
            | Self::Unexpected { may_have_applied, .. } => *may_have_applied,
        }
    }
}

impl Transient for HomeserverError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => is_transient(*status),
            Self::NoAnswer { cause, .. } => cause.is_transient(),
            Self::Unexpected { .. } => false,
        }
    }

    fn is_unconnected(&self) -> bool {
        matches!(self, Self::NoAnswer { cause, .. } if cause.is_unconnected())
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The form of Matrix's errors, taken field by field: one that is odd must not hide the others.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errcode: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    retry_after_ms: Value,
}

fn is_errcode(text: &str) -> bool {
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=LONGEST_ERRCODE).contains(&text.len()) && text.bytes().all(is_of_a_name)
}

/// Whether a text has one of these secrets in it.
pub(super) fn repeats(text: &str, secrets: &[&str]) -> bool {
    secrets.iter().any(|secret| text.contains(secret))
}

fn said(errcode: Option<&str>, message: &str) -> String {
    match (errcode, message) {
        (None, "") => String::new(),
        (None, message) => format!(": {message}"),
        (Some(errcode), "") => format!(" {errcode}"),
        (Some(errcode), message) => format!(" {errcode}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    fn refused(status: u16, body: &str, secrets: &[&str]) -> HomeserverError {
        let answer = ServerResponse {
            status: StatusCode::from_u16(status).unwrap(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
            location: None,
            retry_after: Some(Duration::from_secs(7)),
            date: None,
            headers: HeaderMap::new(),
        };
        HomeserverError::refused(&answer, false, secrets)
    }

    #[test]
    fn what_the_homeserver_says_is_passed_on() {
        let error = refused(403, r#"{"errcode":"M_FORBIDDEN","error":"HMAC\nincorrect"}"#, &[]);
        assert_eq!(error.status(), Some(403));
        assert_eq!(error.errcode(), Some("M_FORBIDDEN"));
        assert_eq!(error.to_string(), "the homeserver answered 403 M_FORBIDDEN: HMAC incorrect");
    }

    #[test]
    fn garbage_leaves_the_status() {
        for body in [
            "",
            "<html>Bad Gateway</html>",
            "null",
            "[]",
            "\"M_FORBIDDEN\"",
            "{",
            "{}",
            r#"{"errcode":null,"error":null,"retry_after_ms":null}"#,
            r#"{"errcode":5,"error":{"a":1},"retry_after_ms":"soon"}"#,
            r#"{"errcode":"","retry_after_ms":-1}"#,
            r#"{"errcode":"M FORBIDDEN","retry_after_ms":1.5}"#,
        ] {
            let error = refused(502, body, &[]);
            assert_eq!(error.to_string(), "the homeserver answered 502", "{body}");
            assert_eq!(error.errcode(), None, "{body}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{body}");
        }
        let long = format!(r#"{{"errcode":"{}","error":"M_X"}}"#, "M".repeat(LONGEST_ERRCODE + 1));
        assert_eq!(refused(400, &long, &[]).to_string(), "the homeserver answered 400: M_X");
    }

    #[test]
    fn one_odd_field_does_not_hide_the_others() {
        let body = r#"{"errcode":"M_LIMIT_EXCEEDED","error":7,"retry_after_ms":1500}"#;
        let error = refused(429, body, &[]);
        assert_eq!(error.errcode(), Some("M_LIMIT_EXCEEDED"));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn words_with_a_secret_in_them_are_not_repeated() {
        let hash = "6a0c".repeat(16);
        // Cut off in the middle, the hash could no longer be told.
        let long = format!("{}{hash}", "x".repeat(190));
        for error in [&hash, "is hunter2 your password?", &long] {
            let body = format!(r#"{{"errcode":"M_{hash}","error":"{error}"}}"#);
            let error = refused(400, &body, &["hunter2", &hash]);
            assert_eq!(error.to_string(), "the homeserver answered 400");
            assert!(!format!("{error:?}").contains("6a0c"));
        }
    }

    #[test]
    fn what_may_pass_and_what_may_have_been_done() {
        for (status, is_transient, may_have_applied) in [
            (400, false, false),
            (401, false, false),
            (403, false, false),
            (404, false, false),
            (429, true, false),
            (500, true, true),
            (501, false, false),
            (502, true, true),
            (503, true, true),
            (504, true, true),
            (520, true, true),
        ] {
            let error = refused(status, "", &[]);
            assert_eq!(error.is_transient(), is_transient, "{status}");
            assert_eq!(error.may_have_applied(), may_have_applied, "{status}");
        }
    }
}
