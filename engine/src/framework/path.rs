//! One kind of path.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::call::Call;
use super::field::Field;
use super::pattern::Pattern;
use crate::logical::{LogicalError, Operation, Response};

/// What an operation ends with; `None` is an answer without a body.
pub type Outcome = Result<Option<Response>, LogicalError>;

/// What an operation does.
pub type Handler<S> = fn(Arc<S>, Call) -> BoxFuture<'static, Outcome>;

/// Whether there is something at a path.
pub type Existence<S> = fn(Arc<S>, Call) -> BoxFuture<'static, Result<bool, LogicalError>>;

/// One kind of path, and what can be done there.
pub struct Path<S: 'static> {
    /// Which paths are of this kind.
    pub pattern: Pattern,
    /// What it is, as a sentence.
    pub synopsis: &'static str,
    /// What else there is to know, as sentences.
    pub description: &'static str,
    /// The fields, those that the path captures among them.
    pub fields: &'static [Field],
    /// What can be done there.
    pub operations: &'static [PathOperation<S>],
    /// Whether there is something at a path already, which tells create from update.
    pub existence: Option<Existence<S>>,
    /// Whether its policy needs `sudo`.
    pub is_root: bool,
}

/// What can be done at a path. A write needs both `Create` and `Update`.
pub struct PathOperation<S: 'static> {
    /// The operation.
    pub operation: Operation,
    /// What it does, as a sentence.
    pub summary: &'static str,
    /// Does it.
    pub handler: Handler<S>,
}

impl<S> Path<S> {
    /// The handler of an operation, if it can be done there.
    #[must_use]
    pub fn handler(&self, operation: &Operation) -> Option<Handler<S>> {
        let found = self.operations.iter().find(|known| known.operation == *operation);
        found.map(|known| known.handler)
    }

    /// Whether the path captures something under this name.
    #[must_use]
    pub fn captures(&self, name: &str) -> bool {
        self.pattern.captures.iter().any(|capture| capture.name == name)
    }
}
