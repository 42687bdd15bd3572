//! Vault and OpenBao: how they are reached, how we identify ourselves, how a secret is read.
//!
//! Requests and responses are those of the `vaultrs` crate; what carries them is ours, because a
//! login needs a bound on every answer, its headers, and URLs that keep a user id as it is.

mod address;
mod error;
mod kv2;
mod path;
mod token;
mod transport;

pub use address::Address;
pub use error::VaultError;
pub use kv2::{Entry, read_login_secret};
pub use path::{Mount, PathRoot};
pub use token::Token;
pub use transport::Transport;
