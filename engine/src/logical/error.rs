//! Why a request is refused, in words that hold no secret.

use super::storage::StorageError;

/// Why a request is refused. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogicalError {
    /// There is no such path: 404.
    #[error("unsupported path")]
    UnsupportedPath,
    /// The path does not know this operation: 405. A revocation must never end so: the host would
    /// not try it again.
    #[error("unsupported operation")]
    UnsupportedOperation,
    /// The request is not as it should be: 400. A revocation must never end so either.
    #[error("{0}")]
    Invalid(String),
    /// Anything else, with its HTTP status.
    #[error("{message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What is wrong.
        message: String,
    },
    /// The host's storage failed. Its text goes back unchanged: a standby knows by it that the
    /// active node is to be asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl LogicalError {
    /// The request is not as it should be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// An error of this HTTP status.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::Status { status, message: message.into() }
    }

    /// The answer of a standby to what only the active node can do: the host forwards the request.
    #[must_use]
    pub fn read_only() -> Self {
        Self::Storage(StorageError::read_only())
    }
}
