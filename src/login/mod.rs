//! The login decision: from a user id and a token hash to an outcome.

mod cache;
mod completion_queue;
mod config;
mod decision;
mod health;
mod lookup;
mod metrics_snapshot;
mod outage;
mod outcome;
mod patience;
mod rotation;
mod service;
mod single_flight;

pub use config::{CacheConfig, Config};
pub use health::Health;
pub use metrics_snapshot::MetricsSnapshot;
pub use outcome::{Code, Outcome, Severity};
pub use service::{Event, LoginService, ServiceError};
