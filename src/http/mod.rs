//! HTTP as it is spoken to Vault and to the homeserver alike: what is secret stays bounded, off
//! redirects and off the heap once it is no longer needed.
//!
//! * [`BaseUrl`] is where a server listens.
//! * [`Tls`] is whom we trust and who we are.
//! * [`HttpClient`] exchanges a request for a [`ServerResponse`].

mod base_url;
mod builder;
mod client;
mod crypto;
mod error;
mod tls;

pub use base_url::{BaseUrl, BaseUrlError};
pub use builder::client_builder;
pub use client::{HttpClient, LONGEST_BODY, ServerResponse};
pub use crypto::install_provider;
pub use error::TransportError;
pub use tls::Tls;
