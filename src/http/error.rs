//! Why a request has no answer.

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection, or one that broke.
    Unreachable {
        /// What the operating system or TLS said.
        cause: String,
        /// Whether there was a connection, so that the request may have arrived.
        was_connected: bool,
    },
    /// The time for the request was over.
    TimedOut,
    /// An answer of more than this many bytes.
    TooLong(usize),
}

/// What lies behind an error, which is what an administrator can mend. URLs are left out: they
/// hold user ids.
#[must_use]
pub fn innermost_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
