//! TLS: whom we trust and who we are.
//!
//! [`Tls`] is what was configured: names of files. What is in them is read by [`files`], made into
//! keys and authorities by [`credentials`], and read again by [`store`] when it changes.

mod certificate;
mod config;
mod credentials;
mod error_text;
mod files;
mod store;
mod verifier;

pub use config::{Authorities, IdentityFiles, Tls};
pub use credentials::{TlsCredentials, check_files};
pub use error_text::{TlsFailure, describe};
pub use files::{TlsFileError, TlsPart};
pub use store::{TlsStore, TlsVersion};
