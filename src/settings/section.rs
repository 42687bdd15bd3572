//! One mapping of the configuration, read key by key.

use secrecy::SecretString;
use serde_json::{Map, Value};
use std::time::Duration;

use super::{Environment, SettingsError, duration};

/// A mapping that remembers which keys were asked for, and refuses the others.
pub struct Section<'a> {
    values: Map<String, Value>,
    environment: &'a Environment,
    known: Vec<&'static str>,
}

/// A value and where it was written: a key of the configuration or an environment variable.
pub struct Sourced<T> {
    pub key: &'static str,
    pub value: T,
}

impl<'a> Section<'a> {
    pub fn new(values: Map<String, Value>, environment: &'a Environment) -> Self {
        Self { values, environment, known: Vec::new() }
    }

    /// A string; absent, `null` and empty are all `None`.
    pub fn string(&mut self, key: &'static str) -> Result<Option<String>, SettingsError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                Err(SettingsError::new(key, format!("must be a string, not {}", kind(&other))))
            }
        }
    }

    /// A string, or the first of the environment variables that is set and not empty.
    pub fn string_or_variable(
        &mut self,
        key: &'static str,
        variables: &[&'static str],
    ) -> Result<Option<Sourced<String>>, SettingsError> {
        if let Some(value) = self.string(key)? {
            return Ok(Some(Sourced { key, value }));
        }
        Ok(variables.iter().find_map(|variable| {
            let value = self.environment.get(*variable).filter(|value| !value.is_empty())?;
            Some(Sourced { key: variable, value: value.clone() })
        }))
    }

    /// As [`Self::string_or_variable`], for a value that must not be shown.
    pub fn secret_or_variable(
        &mut self,
        key: &'static str,
        variables: &[&'static str],
    ) -> Result<Option<Sourced<SecretString>>, SettingsError> {
        let found = self.string_or_variable(key, variables)?;
        Ok(found.map(|Sourced { key, value }| Sourced { key, value: SecretString::from(value) }))
    }

    /// A duration above zero.
    pub fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
    ) -> Result<Duration, SettingsError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => {
                duration::parse(&value).map_err(|message| SettingsError::new(key, message))
            }
        }
    }

    /// Call once every key has been asked for.
    pub fn refuse_unknown_keys(&self) -> Result<(), SettingsError> {
        let Some(unknown) = self.values.keys().next() else { return Ok(()) };
        let message = match nearest(unknown, &self.known) {
            Some(meant) => format!("unknown key; did you mean {meant}?"),
            None => format!("unknown key; known keys: {}", self.known.join(", ")),
        };
        let shown: String = unknown.escape_debug().take(100).collect();
        Err(SettingsError::new(shown, message))
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.values.remove(key)
    }
}

/// The known key that a misspelt one was probably meant to be.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    known
        .iter()
        .map(|key| (strsim::jaro_winkler(&unknown, key).max(by_part(&unknown, key)), *key))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, key)| key)
}

/// Near certainty when one name is a whole word of the other, as `url` is of `vault_url`.
fn by_part(unknown: &str, key: &str) -> f64 {
    if key.split('_').any(|word| word == unknown) { 0.95 } else { 0.0 }
}

/// What a value is, in the words of YAML.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
