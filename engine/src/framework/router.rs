//! Finds the path of a request.

use std::sync::Arc;

use super::call::Call;
use super::help;
use super::path::{Outcome, Path};
use crate::logical::{LogicalError, Operation, Request, Response};

/// All paths of a backend.
pub struct Router<S: 'static> {
    /// What the backend is, as sentences.
    pub help: &'static str,
    /// Its paths. The first that matches is taken.
    pub paths: &'static [&'static Path<S>],
}

impl<S: 'static> Router<S> {
    /// Does what is asked at a path: everything but what is about leases and the host's clock.
    ///
    /// # Errors
    /// There is no such path, it has no such operation, a field does not hold what it should, or
    /// what the operation itself fails with.
    pub async fn handle(&self, state: Arc<S>, request: Request) -> Outcome {
        if request.operation == Operation::Help {
            return self.help(&request).map(Some);
        }
        let (path, call) = self.route(request)?;
        let handler = path.handler(&call.request.operation);
        let handler = handler.ok_or(LogicalError::UnsupportedOperation)?;
        call.check(path.fields)?;
        let warnings = call.warnings(path.fields);
        let answer = handler(state, call).await?;
        if warnings.is_empty() {
            return Ok(answer);
        }
        let mut answer = answer.unwrap_or_default();
        answer.warnings.extend(warnings);
        Ok(Some(answer))
    }

    /// Whether there is something at the path of a write; `None` if the path does not tell.
    ///
    /// # Errors
    /// What kept from finding out.
    pub async fn exists(
        &self,
        state: Arc<S>,
        request: Request,
    ) -> Result<Option<bool>, LogicalError> {
        match self.route(request) {
            // The host asks before it knows whether there is such a path.
            Err(_) => Ok(None),
            Ok((path, call)) => match path.existence {
                None => Ok(None),
                Some(existence) => existence(state, call).await.map(Some),
            },
        }
    }

    fn help(&self, request: &Request) -> Result<Response, LogicalError> {
        if request.path.is_empty() {
            return Ok(help::of_all(self.help, self.paths, request));
        }
        let path = self.find(&request.path).ok_or(LogicalError::UnsupportedPath)?.0;
        Ok(help::of_path(path, request))
    }

    fn route(&self, request: Request) -> Result<(&'static Path<S>, Call), LogicalError> {
        let (path, values) = self.find(&request.path).ok_or(LogicalError::UnsupportedPath)?;
        let names = path.pattern.captures.iter().map(|capture| capture.name);
        let captures = names.zip(values).collect();
        Ok((path, Call::new(request, captures)))
    }

    fn find(&self, path: &str) -> Option<(&'static Path<S>, Vec<String>)> {
        self.paths.iter().find_map(|known| {
            let values = known.pattern.matches(path)?;
            Some((*known, values.into_iter().map(ToOwned::to_owned).collect()))
        })
    }
}
