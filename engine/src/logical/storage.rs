//! What the host keeps for a backend.

use futures_util::future::BoxFuture;

/// What a standby says to a write. The host knows it by its text.
pub const READ_ONLY: &str = "cannot write to readonly storage";

/// Why the host's storage did not do what it was asked to, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub String);

impl StorageError {
    /// What a standby says to a write.
    #[must_use]
    pub fn read_only() -> Self {
        Self(READ_ONLY.to_owned())
    }
}

/// What is kept under one key. Has no `Debug`: it may be secret.
#[derive(Clone)]
pub struct StorageEntry {
    /// The key, with slashes between its parts.
    pub key: String,
    /// What is kept.
    pub value: Vec<u8>,
    /// Whether the host is to encrypt it once more by its seal, if it can.
    pub seal_wrap: bool,
}

/// What the host keeps for one mount.
pub trait Storage: Send + Sync {
    /// What is kept under a key, if anything.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StorageError>>;

    /// Keeps something, in the place of what was there.
    fn put(&self, entry: StorageEntry) -> BoxFuture<'_, Result<(), StorageError>>;

    /// Forgets a key. Unknown ones are none to forget.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>>;

    /// The keys directly below a prefix, without it; those with more below end with a slash.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, StorageError>>;
}
