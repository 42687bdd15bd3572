//! Vault and OpenBao: how they are reached, how we identify ourselves, how a secret is read.
//!
//! Requests and responses are those of the `vaultrs` crate; what carries them is ours, because a
//! login needs a bound on every answer, its headers, and URLs that keep a user id as it is.
//!
//! From the bottom up:
//! * [`Address`], [`Mount`], [`Token`] and [`VaultError`] are what the rest speaks in, and
//!   [`Config`] is how it is configured.
//! * [`transport`] exchanges a request for an answer with one address, and [`request_metrics`]
//!   counts that.
//! * [`nodes`] asks one address of a cluster, and [`answer_form`] knows whether the answer is Vault's.
//! * [`election`] says which node of a cluster to use, and [`cluster`] has it asked.
//! * [`mounts`] asks what is mounted where.
//! * [`token`] has the token, keeps it alive and replaces it.
//! * [`client`] sends requests with that token.
//! * [`kv`] reads and writes secrets with it.
//! * [`secrets_engine`] asks the secrets engine for Matrix, where it is mounted.
//! * [`diagnosis`] asks what else may be wrong.

mod address;
mod answer_form;
mod client;
mod cluster;
mod config;
mod connection_config;
mod diagnosis;
mod election;
mod error;
mod extra_headers;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod header;
mod kv;
mod mounts;
mod nodes;
mod path;
mod request;
mod request_metrics;
mod secrets_engine;
#[cfg(test)]
mod tests;
mod token;
mod transport;

pub use address::Address;
pub use client::Client;
pub use config::Config;
pub use connection_config::ConnectionConfig;
pub use diagnosis::TokenState;
pub use election::SLOW_AFTER;
pub use error::VaultError;
pub use extra_headers::ExtraHeader;
pub use header::{AuthNamespace, Namespace, Token};
pub use kv::entry::{Entry, LOGIN_SECRET, Revision, Secret, login_secret};
pub use kv::reader::KvReader;
pub use kv::v2::{EngineSettings, EntryVersion, Kv2, KvEntry, Written};
pub use mounts::{Engine, Located, Mounted, Version};
pub use nodes::Node;
pub use path::{FullPath, Mount, PathRoot};
pub use request::{Request, RequestKind};
pub use request_metrics::RequestMetrics;
pub use secrets_engine::{EngineUser, Lease, SecretsEngine};
pub use token::auth;
pub use token::file::TokenFile;
pub use token::lease::TokenExpiry;
pub use token::source::TokenSource;
