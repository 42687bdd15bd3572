//! What a backend answers.

use std::time::{Duration, SystemTime};

use super::request::Data;

/// An answer. Has no `Debug`: it may hold secrets.
#[derive(Default)]
pub struct Response {
    /// The fields for whoever asked.
    pub data: Option<Data>,
    /// What the host is to revoke one day.
    pub lease: Option<Lease>,
    /// What whoever asked should know beside.
    pub warnings: Vec<String>,
}

/// A lease, issued or renewed. Has no `Debug`: what it holds may be secret.
pub struct Lease {
    /// How long it lasts unless it is renewed.
    pub ttl: Duration,
    /// How long it lasts at most, from its issue on.
    pub max_ttl: Duration,
    /// When it was issued. A host refuses a lease without.
    pub issue_time: SystemTime,
    /// Whether it may be renewed.
    pub is_renewable: bool,
    /// What the host keeps with the lease and gives back when it ends. A renewal's answer replaces
    /// it.
    pub internal_data: Data,
}

impl Response {
    /// An answer with fields alone.
    #[must_use]
    pub fn of(data: Data) -> Self {
        Self { data: Some(data), ..Self::default() }
    }

    /// The answer to a list.
    #[must_use]
    pub fn list(keys: Vec<String>) -> Self {
        let mut data = Data::new();
        if !keys.is_empty() {
            data.insert("keys".to_owned(), keys.into());
        }
        Self::of(data)
    }

    /// The same answer with a warning.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}
