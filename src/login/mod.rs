//! The login decision: from a user id and a token hash to an outcome.
//!
//! From the bottom up:
//! * [`Outcome`] and [`Health`] are what comes out, and [`Config`] is how it is configured.
//! * [`decision`] judges an attempt by an entry, and [`rotation`] knows when the version before the
//!   newest one still counts.
//! * [`single_flight`] has logins share reads, [`cache`] keeps secrets, and [`outage`] knows whether
//!   Vault answers.
//! * [`entry_reader`] reads an entry once, and [`decider`] reads until it can decide a login.
//! * [`under_way`] reads an entry while the homeserver looks for the account, and decides then.
//! * [`mas`] opens the session where Matrix Authentication Service has the accounts.
//! * [`start`] says in the log whether the module works.
//! * [`completion_queue`] hands results to another thread, and [`service`] runs all of it, with
//!   [`mas_service`] what is begun under Matrix Authentication Service.

mod cache;
mod completion_queue;
mod config;
mod decider;
mod decision;
mod entry_reader;
mod health;
mod mas;
mod mas_service;
mod metrics;
mod outage;
mod outcome;
mod rotation;
mod service;
mod single_flight;
mod start;
mod under_way;

pub use cache::CacheUses;
pub use config::{CacheConfig, Config};
pub use health::Health;
pub use mas::{
    ClientError, LogoutResult, MasConfig, MasEvent, OpenResult, OpenedSession, PassedOnResult,
    SessionWishes,
};
pub use metrics::Metrics;
pub use outcome::{Code, Outcome, Severity};
pub use service::{Event, LoginService, ServiceError};
