//! Values that cross the boundary, in the form that the other side wants.

use std::collections::HashMap;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyString;
use serde_json::{Map, Value};
use synapse_vault_auth_provider_core::notice::Level;
use synapse_vault_auth_provider_core::settings::{SettingsError, parse_duration, parse_lifetime};

/// The values of keys, each of which came as JSON.
///
/// # Errors
/// When a value is no JSON that can be read; the error names its key.
pub fn json_values(config: HashMap<String, String>) -> Result<Map<String, Value>, SettingsError> {
    let read = |(key, json): (String, String)| match serde_json::from_str(&json) {
        Ok(value) => Ok((key, value)),
        Err(_) => Err(SettingsError::new(key, "holds text or a number that cannot be read")),
    };
    config.into_iter().map(read).collect()
}

/// The level's number in Python's `logging`.
pub fn python_level(level: Level) -> u8 {
    match level {
        Level::Info => 20,
        Level::Warning => 30,
        Level::Error => 40,
    }
}

/// The UTF-8 of a `str`; `None` for what is no `str` and for one with lone surrogates.
pub fn text<'a>(value: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    value.cast::<PyString>().ok()?.to_str().ok()
}

/// A lifetime: a number of seconds, or a string such as `7d`.
///
/// # Errors
/// What is allowed.
pub fn lifetime(value: &Bound<'_, PyAny>) -> Result<Duration, String> {
    parse_lifetime(&number_or_text(value))
}

/// A duration: a number of seconds, or a string such as `5m`.
///
/// # Errors
/// What is allowed.
pub fn duration(value: &Bound<'_, PyAny>) -> Result<Duration, String> {
    parse_duration(&number_or_text(value))
}

fn number_or_text(value: &Bound<'_, PyAny>) -> Value {
    match (text(value), value.extract::<f64>()) {
        (Some(text), _) => Value::from(text),
        (None, Ok(seconds)) => Value::from(seconds),
        (None, Err(_)) => Value::Null,
    }
}
