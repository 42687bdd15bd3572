//! TLS: whom we trust and who we are.

use std::sync::OnceLock;

use reqwest::{Certificate, Client, ClientBuilder, Identity};

use super::crypto::install_provider;
use super::error::innermost_cause;

/// Whom we trust and who we are, as configured.
#[derive(Clone, Default)]
pub struct Tls {
    /// The certificates of the authorities to trust; the system's where there are none.
    pub authorities: Vec<Certificate>,
    /// Our own certificate and key.
    pub identity: Option<Identity>,
    /// Whether to take any certificate.
    pub skip_verify: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities.len())
            .field("identity", &self.identity.is_some())
            .field("skip_verify", &self.skip_verify)
            .finish()
    }
}

impl Tls {
    /// Whether there is somebody to trust whose certificates can be read.
    ///
    /// # Errors
    /// What TLS has against a certificate, in words.
    pub fn check_authorities(&self) -> Result<(), String> {
        static SYSTEM: OnceLock<Result<(), String>> = OnceLock::new();
        if self.authorities.is_empty() {
            return SYSTEM.get_or_init(|| build(Client::builder())).clone();
        }
        build(Client::builder().tls_certs_only(self.authorities.iter().cloned()))
    }

    /// Whether our key is that of our certificate.
    ///
    /// # Errors
    /// What TLS has against them, in words.
    pub fn check_identity(&self) -> Result<(), String> {
        let Some(identity) = &self.identity else { return Ok(()) };
        build(Client::builder().tls_certs_only([]).identity(identity.clone()))
    }

    /// Makes a client keep to this. Without `is_https` no certificates are loaded.
    pub fn apply(&self, builder: ClientBuilder, is_https: bool) -> ClientBuilder {
        let mut builder = builder.tls_danger_accept_invalid_certs(self.skip_verify);
        if !self.authorities.is_empty() {
            builder = builder.tls_certs_only(self.authorities.iter().cloned());
        } else if !is_https || self.skip_verify {
            // No certificate is checked, so a system without any must not keep us from starting.
            builder = builder.tls_certs_only([]);
        }
        match &self.identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    }
}

fn build(builder: ClientBuilder) -> Result<(), String> {
    install_provider();
    builder.build().map(drop).map_err(innermost_cause)
}
