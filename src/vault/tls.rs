//! The HTTP client's settings, those of TLS above all.

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};
use std::sync::OnceLock;
use std::time::Duration;

use super::Address;
use crate::settings::VaultSettings;

/// Connections that have idled this long are closed: their buffers hold secrets.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

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

/// Installs the cryptography that TLS uses, once.
pub fn install_provider() {
    // An error means that one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
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

    fn apply(&self, builder: ClientBuilder, is_https: bool) -> ClientBuilder {
        install_provider();
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

/// A client that follows no redirects and keeps to the configured TLS.
pub fn client_builder(settings: &VaultSettings) -> ClientBuilder {
    let builder = Client::builder()
        // The token must not follow a redirect to whatever host it names.
        .redirect(redirect::Policy::none())
        .referer(false)
        .http1_only()
        // Time to try another node after one that does not even take the connection.
        .connect_timeout(settings.request_timeout / 2)
        .pool_idle_timeout(IDLE_TIMEOUT);
    // The vendor's command line does not go through a proxy to its own machine either.
    let builder = if settings.addresses.iter().all(Address::is_loopback) {
        builder.no_proxy()
    } else {
        builder
    };
    settings.tls.apply(builder, settings.addresses.iter().any(Address::is_https))
}

/// What lies behind an error, which is what an administrator can mend. URLs are left out: they
/// hold user ids.
pub fn innermost_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
