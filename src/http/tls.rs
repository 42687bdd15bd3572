//! The settings that every HTTP client of ours has, whomever it speaks to.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};

/// Connections that have idled this long are closed: their buffers hold secrets.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Installs the cryptography that TLS uses, once.
pub fn install_provider() {
    // An error means that one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that follows no redirects; its TLS trusts whom the system trusts.
pub fn client_builder(connect_timeout: Duration) -> ClientBuilder {
    install_provider();
    Client::builder()
        // A token must not follow a redirect to whatever host it names.
        .redirect(redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
}

/// What lies behind an error, which is what an administrator can mend. URLs are left out: they
/// hold user ids.
#[must_use]
pub fn innermost_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
