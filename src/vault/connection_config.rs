//! How requests get to Vault.

use std::time::Duration;

use super::address::Address;
use super::extra_headers::ExtraHeader;
use super::header::Namespace;
use crate::http::{Proxies, Tls};

/// How requests get to Vault.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// The addresses of one cluster, at least one.
    pub addresses: Vec<Address>,
    /// The namespace of everything below.
    pub namespace: Option<Namespace>,
    /// More headers for every request.
    pub headers: Vec<ExtraHeader>,
    /// Whom to trust, and who we are.
    pub tls: Tls,
    /// The proxies between us and the addresses.
    pub proxies: Proxies,
    /// The time one HTTP exchange with Vault may take.
    pub request_timeout: Duration,
}
