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
    /// Whether the configuration may be right, and only this process lacks what it relies on: a
    /// variable in its environment, or a file that it can read.
    pub is_of_process: bool,
}

impl SettingsError {
    /// Says what is wrong with a key, in characters that print.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        let (key, message) = (printable(&key.into()), printable(&message.into()));
        Self { key, message, is_of_process: false }
    }

    /// The same error, of this process and not of the configuration.
    #[must_use]
    pub fn of_process(self) -> Self {
        Self { is_of_process: true, ..self }
    }
}

/// What this process lacks: told only once everything else is known to be right.
#[derive(Default)]
pub struct Lacking(Option<SettingsError>);

impl Lacking {
    /// Puts off an error of the process, and has nothing in place of the value.
    ///
    /// # Errors
    /// Any other error.
    pub fn put_off<T>(
        &mut self,
        result: Result<T, SettingsError>,
    ) -> Result<Option<T>, SettingsError> {
        match result {
            Err(error) if error.is_of_process => {
                self.0.get_or_insert(error);
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// The value, unless something was put off.
    ///
    /// # Errors
    /// The first error that was.
    pub fn complete<T>(self, value: Option<T>) -> Result<T, SettingsError> {
        match (self.0, value) {
            (None, Some(value)) => Ok(value),
            (Some(error), _) => Err(error),
            (None, None) => Err(SettingsError::new("config", "cannot be read")),
        }
    }
}

/// Names the key whose value is wrong.
pub fn in_key<T, E: ToString>(
    key: impl Into<String>,
    result: Result<T, E>,
) -> Result<T, SettingsError> {
    result.map_err(|error| SettingsError::new(key, error.to_string()))
}
