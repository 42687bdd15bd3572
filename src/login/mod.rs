//! The login decision: from a user id and a token hash to an outcome.

mod decision;
mod lookup;
mod outcome;
mod service;

pub use outcome::{Code, Outcome, Severity};
pub use service::{Completed, LoginService, ServiceError};
