//! The login decision: from a user id and a token hash to an outcome.

mod cache;
mod counts;
mod decision;
mod flights;
mod health;
mod lookup;
mod mailbox;
mod outage;
mod outcome;
mod patience;
mod rotation;
mod service;

pub use counts::Counts;
pub use health::Health;
pub use outcome::{Code, Outcome, Severity};
pub use service::{LoginService, Message, ServiceError};
