//! HTTP as it is spoken to Vault and to the homeserver alike: what is secret stays bounded, off
//! redirects and off the heap once it is no longer needed.
//!
//! * [`BaseUrl`] is where a server listens.
//! * [`Pool`] exchanges a request for an [`Answer`].
//! * [`quote`] makes a server's words fit into a message of ours.

mod base_url;
mod pool;
mod quote;
mod tls;

pub use base_url::{BaseUrl, BaseUrlError};
pub use pool::{Answer, Failure, LONGEST_BODY, Pool};
pub use quote::quote;
pub use tls::{client_builder, innermost_cause, install_provider};
