//! What may go wrong between us and MAS, in words that hold no secret.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::homeserver::error::repeats;
use crate::homeserver::status::{is_transient, may_follow_the_deed};
use crate::http::{ServerResponse, TransportError};
use crate::retry::Transient;
use crate::text::quote;

/// What went wrong between us and Matrix Authentication Service. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasError {
    /// An answer of any status that is no success, whoever gave it.
    #[error("Matrix Authentication Service answered {status} to \"{operation}\"{}", said(message))]
    Refused {
        /// What was asked for.
        operation: &'static str,
        /// The status of the answer.
        status: u16,
        /// MAS' own words, short and on one line; empty if it has none, or if they repeat a secret.
        message: String,
        /// How long MAS asks us to wait.
        retry_after: Option<Duration>,
        /// Whether the answer has the form of the admin API's errors, and so is no proxy's.
        is_of_admin_api: bool,
        /// Whether it may have been done all the same.
        may_have_applied: bool,
    },
    /// The client of the admin API gets no token.
    #[error(
        "Matrix Authentication Service gives the client {client_id} no token for its admin API: \
         {status}{}; the client must be among `clients` and in `policy.data.admin_clients` of its \
         configuration, with this secret",
        said(message)
    )]
    ClientRefused {
        /// Who we are to MAS.
        client_id: String,
        /// The status of the answer.
        status: u16,
        /// MAS' own words, as in [`Refused`](Self::Refused).
        message: String,
    },
    /// There is no answer.
    #[error("{}", cause.describe(&format!("Matrix Authentication Service at {server}")))]
    NoAnswer {
        /// The address tried.
        server: String,
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
        /// Whether it may have been done all the same.
        may_have_applied: bool,
    },
}

impl MasError {
    /// The error that an answer without success is. A server may repeat what it was sent: words with
    /// one of `secrets` in them are left out.
    pub(super) fn refused(
        operation: &'static str,
        answer: &ServerResponse,
        is_read: bool,
        secrets: &[&str],
    ) -> Self {
        Self::Refused {
            operation,
            status: answer.status.as_u16(),
            message: message_in(answer, secrets),
            retry_after: answer.retry_after,
            is_of_admin_api: is_of_admin_api(answer),
            may_have_applied: !is_read && may_follow_the_deed(answer.status),
        }
    }

    /// An error before anything was sent.
    pub(super) fn unsent(what: impl Into<String>) -> Self {
        Self::Unexpected { what: what.into(), may_have_applied: false }
    }

    /// The status that was answered by the admin API, if this is an answer of it.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the admin API says that there is no such resource. A path that is not MAS' is answered
    /// otherwise: with a page of HTML, or by a proxy.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, is_of_admin_api: true, .. })
    }

    /// MAS' own words; empty if there are none.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Refused { message, .. } | Self::ClientRefused { message, .. } => message,
            _ => "",
        }
    }

    /// Whether MAS may have done what it was asked to.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        match self {
            Self::Refused { may_have_applied, .. }
            | Self::NoAnswer { may_have_applied, .. }
            | Self::Unexpected { may_have_applied, .. } => *may_have_applied,
            Self::ClientRefused { .. } => false,
        }
    }
}

impl Transient for MasError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } | Self::ClientRefused { status, .. } => {
                is_transient(*status)
            }
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

/// What an answer without success says: the titles of the admin API's errors, the error of OAuth
/// 2.0, or a line of plain text. HTML is left out.
pub(super) fn message_in(answer: &ServerResponse, secrets: &[&str]) -> String {
    let message = match serde_json::from_slice::<ErrorBody>(&answer.body) {
        Ok(ErrorBody { errors, error, error_description }) => {
            let titles = errors.as_array().into_iter().flatten();
            let titles = titles.filter_map(|error| error.get("title").and_then(Value::as_str));
            let words = titles.chain(error.as_str()).chain(error_description.as_str());
            words.collect::<Vec<_>>().join(": ")
        }
        Err(_) => match std::str::from_utf8(&answer.body) {
            Ok(text) if !text.trim_start().starts_with(['<', '{', '[']) => text.to_owned(),
            _ => String::new(),
        },
    };
    if repeats(&message, secrets) { String::new() } else { quote(&message) }
}

fn is_of_admin_api(answer: &ServerResponse) -> bool {
    serde_json::from_slice::<ErrorBody>(&answer.body).is_ok_and(|body| body.errors.is_array())
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    error_description: Value,
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
