//! HTTP as it is spoken to Vault and to the homeserver alike. Answers are bounded, redirects are
//! not followed, and secrets are wiped.
//!
//! * [`BaseUrl`] is where a server listens.
//! * [`Tls`] is whom we trust and who we are, and [`Proxies`] is what stands in between.
//! * [`HttpClient`] is made with a [`ClientConfig`] and exchanges a request for a [`ServerResponse`]
//!   or a [`TransportError`].

mod base_url;
mod client;
mod client_config;
mod crypto;
mod error;
mod failure;
mod proxy;
mod resolver;
mod response;
mod route;
mod tls;

pub use base_url::{BaseUrl, BaseUrlError};
pub use client::{HttpClient, LONGEST_BODY};
pub use client_config::ClientConfig;
pub use error::TransportError;
pub use proxy::{Proxies, ProxyError};
pub use response::ServerResponse;
pub use tls::{Authorities, IdentityFiles, Tls, TlsFileError, TlsPart, check_files};
