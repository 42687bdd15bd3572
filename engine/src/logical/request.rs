//! What a host asks.

use std::time::{Duration, SystemTime};

/// The fields of a request, of an answer, or of what a lease holds.
///
/// They may be secret: what holds them has no `Debug`.
pub type Data = serde_json::Map<String, serde_json::Value>;

/// What is to be done at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Write what is not there yet.
    Create,
    /// Write what is there.
    Update,
    /// Read.
    Read,
    /// List what is below.
    List,
    /// Delete.
    Delete,
    /// Let a lease last longer.
    Renew,
    /// End a lease.
    Revoke,
    /// Clear up. The host asks for it once a minute.
    Rollback,
    /// Describe a path.
    Help,
    /// Anything else that a host knows.
    Other(String),
}

impl Operation {
    /// The operation of this name.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name {
            "create" => Self::Create,
            "update" => Self::Update,
            "read" => Self::Read,
            "list" => Self::List,
            "delete" => Self::Delete,
            "renew" => Self::Renew,
            "revoke" => Self::Revoke,
            "rollback" => Self::Rollback,
            "help" => Self::Help,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A request for one mount. Has no `Debug`: it may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// What is to be done.
    pub operation: Operation,
    /// The path below the mount.
    pub path: String,
    /// The fields that were sent.
    pub data: Data,
    /// The lease that a renewal or a revocation is about.
    pub lease: Option<HeldLease>,
    /// Where the backend is mounted, with a slash at the end.
    pub mount_point: String,
}

/// A lease as the host keeps it. Has no `Debug`: what it holds may be secret.
#[derive(Clone)]
pub struct HeldLease {
    /// What the backend had the host keep with the lease.
    pub internal_data: Data,
    /// When the lease was issued.
    pub issue_time: Option<SystemTime>,
    /// How much longer the holder wants it to last; zero if the holder does not say.
    pub increment: Duration,
    /// How long it lasted.
    pub ttl: Duration,
}
