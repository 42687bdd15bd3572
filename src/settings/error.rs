//! What is wrong with the configuration.

use crate::text::printable;

/// What is wrong with one key of the configuration, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct SettingsError {
    /// The key, dotted where it lies inside another.
    pub key: String,
    /// What is allowed there. Never holds the value of a secret.
    pub message: String,
}

impl SettingsError {
    /// Says what is wrong with a key, in characters that print.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: printable(&key.into()), message: printable(&message.into()) }
    }
}

/// Names the key whose value is wrong.
pub fn in_key<T, E: ToString>(
    key: impl Into<String>,
    result: Result<T, E>,
) -> Result<T, SettingsError> {
    result.map_err(|error| SettingsError::new(key, error.to_string()))
}
