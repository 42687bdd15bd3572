//! Why a request has no answer.

use std::time::Duration;

/// Why there is no answer.
///
/// None of these holds a URL: a URL may hold a user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection, or one that broke.
    Unreachable {
        /// What the operating system or TLS said.
        cause: String,
        /// Whether there was a connection, so that the request may have arrived.
        was_connected: bool,
    },
    /// One side does not accept the certificate of the other. Nothing was done.
    Certificate(String),
    /// The server does not speak the protocol that its address says.
    Protocol {
        /// What it did, in words that follow the server's name.
        cause: String,
        /// Whether the request may have arrived.
        was_sent: bool,
    },
    /// The time for the request was over.
    TimedOut {
        /// The time that there was.
        limit: Duration,
    },
    /// An answer of more than this many bytes.
    TooLong(usize),
}

impl TransportError {
    /// Whether the same request may succeed a moment later.
    ///
    /// Certificates and protocols change when somebody changes them: a login does not wait for
    /// that.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// Whether the fault is the server's that was asked, so that another server of the same service
    /// may answer.
    #[must_use]
    pub fn is_of_the_server(&self) -> bool {
        !matches!(self, Self::TooLong(_))
    }

    /// Whether nothing accepted the connection.
    #[must_use]
    pub fn is_unconnected(&self) -> bool {
        matches!(self, Self::Unreachable { was_connected: false, .. })
    }

    /// Whether the server may have received the request, and done what it asks for.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        match self {
            Self::Unreachable { was_connected, .. } => *was_connected,
            Self::Certificate(_) => false,
            Self::Protocol { was_sent, .. } => *was_sent,
            Self::TimedOut { .. } | Self::TooLong(_) => true,
        }
    }

    /// The error as a sentence about a server, such as "Vault at <https://vault.example.org>".
    #[must_use]
    pub fn describe(&self, server: &str) -> String {
        match self {
            Self::Unreachable { cause, .. } | Self::Certificate(cause) => {
                format!("cannot reach {server}: {cause}")
            }
            Self::Protocol { cause, .. } => format!("{server} {cause}"),
            Self::TimedOut { limit } => format!("{server} did not answer within {limit:?}"),
            Self::TooLong(longest) => format!("{server} answered with more than {longest} bytes"),
        }
    }
}

/// What lies behind an error, which is what an administrator can fix. URLs are left out: they hold
/// user ids.
pub fn innermost_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
