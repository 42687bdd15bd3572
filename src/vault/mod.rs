//! Vault and OpenBao: how they are reached, how we identify ourselves, how a secret is read.
//!
//! Requests and responses are those of the `vaultrs` crate; what carries them is ours, because a
//! login needs a bound on every answer, its headers, and URLs that keep a user id as it is.
//!
//! From the bottom up:
//! * [`transport`] exchanges a request for an answer with one address, over [`tls`], and [`traffic`]
//!   counts that.
//! * [`cluster`] knows which of several addresses to ask.
//! * [`identity`] has the token, from [`auth`], [`token_file`] or the configuration, and
//!   [`lifetime`] keeps it alive; how long it lives is [`lease`]'s to ask.
//! * [`client`] sends requests with that token.
//! * [`kv`] reads secrets with it, [`kv2`] writes them; [`kv_answer`] understands what the engine
//!   answers, [`entry`] is what it holds, and [`mounts`] tells in which version of the engine.
//! * [`diagnosis`] asks what else may be wrong.

mod address;
pub mod auth;
mod client;
mod cluster;
mod credential;
mod diagnosis;
mod entry;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod identity;
mod kv;
mod kv2;
mod kv_answer;
mod lease;
mod lifetime;
mod mounts;
mod path;
mod request;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod token_file;
mod traffic;
mod transport;
mod wrapping;

pub use address::Address;
pub use client::Client;
pub use credential::{Credential, SecretFile, shown_path};
pub use diagnosis::{Node, TokenState};
pub use entry::{Entry, LOGIN_SECRET, Revision, Secret};
pub use error::VaultError;
pub use identity::Source;
pub use kv::Kv;
pub use kv2::{Kv2, KvEntry, Newest, Written};
pub use lease::End;
pub use mounts::{Mounted, Version};
pub use path::{Mount, PathRoot};
pub use tls::Tls;
pub use token::{Namespace, Token};
pub use token_file::TokenFile;
pub use traffic::{Operation, Traffic};
