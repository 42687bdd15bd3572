//! A request that has found its path.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::field::{Field, FieldKind};
use super::value::{parse_boolean, parse_duration};
use crate::logical::{LogicalError, Request};

/// A request that has found its path. Has no `Debug`: its fields may be secret.
pub struct Call {
    /// The request itself.
    pub request: Request,
    captures: Vec<(&'static str, String)>,
}

impl Call {
    /// A request with what its path has captured.
    #[must_use]
    pub fn new(request: Request, captures: Vec<(&'static str, String)>) -> Self {
        Self { request, captures }
    }

    /// What the path has captured under this name; empty if it captures nothing so.
    #[must_use]
    pub fn captured(&self, name: &str) -> &str {
        let captured = self.captures.iter().find(|(captured, _)| *captured == name);
        captured.map_or("", |(_, text)| text)
    }

    /// Whether a field was sent as `null`, which otherwise is as if it was not sent.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.request.data.get(name).is_some_and(Value::is_null)
    }

    /// Text that was sent.
    ///
    /// # Errors
    /// When it is no text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, LogicalError> {
        match self.sent(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "must be a string")),
        }
    }

    /// Secret text that was sent.
    ///
    /// # Errors
    /// When it is no text.
    pub fn secret(&self, name: &str) -> Result<Option<SecretString>, LogicalError> {
        Ok(self.text(name)?.map(SecretString::from))
    }

    /// A time that was sent.
    ///
    /// # Errors
    /// When it is no time.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, LogicalError> {
        let duration = self.sent(name).map(parse_duration).transpose();
        duration.map_err(|error| wrong(name, &error))
    }

    /// True or false that was sent.
    ///
    /// # Errors
    /// When it is neither.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, LogicalError> {
        let boolean = self.sent(name).map(parse_boolean).transpose();
        boolean.map_err(|error| wrong(name, &error))
    }

    /// Checks the fields that were sent against those of the path.
    ///
    /// # Errors
    /// The first that does not hold what it should.
    pub(super) fn check(&self, fields: &[Field]) -> Result<(), LogicalError> {
        for field in fields {
            match field.kind {
                FieldKind::Text | FieldKind::Secret => drop(self.text(field.name)?),
                FieldKind::Duration => drop(self.duration(field.name)?),
                FieldKind::Boolean => drop(self.boolean(field.name)?),
            }
        }
        Ok(())
    }

    /// What the client should know about the fields that it sent.
    pub(super) fn warnings(&self, fields: &[Field]) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut unknown: Vec<&str> = Vec::new();
        for name in self.request.data.keys() {
            if self.captures.iter().any(|(captured, _)| captured == name) {
                warnings.push(format!("the field {name:?} is ignored: the path says it"));
                continue;
            }
            match fields.iter().find(|field| field.name == name) {
                None => unknown.push(name),
                Some(field) if field.is_deprecated => {
                    let why = self.with_names(field.description);
                    warnings.push(format!("the field {name:?} is ignored: {why}"));
                }
                Some(_) => {}
            }
        }
        unknown.sort_unstable();
        if !unknown.is_empty() {
            warnings.push(format!("fields that are unknown here are ignored: {unknown:?}"));
        }
        warnings
    }

    /// A description with the mount, and what the path has captured, in the place of their names in
    /// capitals.
    fn with_names(&self, description: &str) -> String {
        let named = description.replace("MOUNT/", &self.request.mount_point);
        let captures = self.captures.iter();
        captures.fold(named, |named, (name, text)| named.replace(&name.to_uppercase(), text))
    }

    /// What was sent for a field. What the path says is not asked for in the fields.
    fn sent(&self, name: &str) -> Option<&Value> {
        self.request.data.get(name).filter(|value| !value.is_null())
    }
}

fn wrong(name: &str, why: &str) -> LogicalError {
    LogicalError::invalid(format!("the field \"{name}\" {why}"))
}
