//! The settings that every HTTP client of ours has, whomever it speaks to.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};

use super::crypto::install_provider;

/// Connections that have idled this long are closed: their buffers hold secrets.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

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
