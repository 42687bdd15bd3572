//! How connections to one address are made.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HOST, HeaderValue};
use reqwest::{Client, Request, redirect};
use url::Url;

use super::base_url::BaseUrl;
use super::client_config::ClientConfig;
use super::error::innermost_cause;
use super::proxy::Proxy;
use super::resolver::{HostResolver, NameResolver};
use super::tls::TlsCredentials;

/// Connections that have idled this long are closed: their buffers hold secrets.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// What we call ourselves.
const USER_AGENT: &str = concat!("synapse-vault-auth-provider/", env!("CARGO_PKG_VERSION"));

/// How connections to one address are made: through a proxy or a Unix socket, and under which name.
///
/// Each address has a client of its own, because a proxy, a socket and a name belong to one.
pub struct Route {
    address: BaseUrl,
    proxy: Option<Proxy>,
    /// The name that the certificate must have, if it is not the address's.
    server_name: Option<String>,
    names: Arc<NameResolver>,
}

impl Route {
    /// The way to an address.
    ///
    /// # Errors
    /// When a variable names no proxy that can be used, in words.
    pub fn new(
        address: &BaseUrl,
        config: &ClientConfig,
        names: Arc<NameResolver>,
    ) -> Result<Self, String> {
        let proxy = config
            .proxies
            .for_address(address)
            .map_err(|error| format!("{} {}", error.variable, error.message))?;
        let server_name = config.tls.server_name.clone().filter(|_| address.is_https());
        Ok(Self { address: address.clone(), proxy, server_name, names })
    }

    /// The address to which this leads.
    pub fn address(&self) -> &BaseUrl {
        &self.address
    }

    /// Whether any connection on the way is encrypted.
    pub fn needs_tls(&self) -> bool {
        self.address.is_https() || self.proxy.as_ref().is_some_and(Proxy::is_https)
    }

    /// Makes a client; connects to nothing.
    ///
    /// # Errors
    /// When the client cannot be made, in words.
    pub fn client(
        &self,
        credentials: &TlsCredentials,
        connect_timeout: Duration,
    ) -> Result<Client, String> {
        let host = self.server_name.as_ref().and_then(|_| Some(self.address.host()?.to_string()));
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            // A token must not follow a redirect to whatever host it names.
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .dns_resolver(HostResolver { names: Arc::clone(&self.names), host })
            .tls_backend_preconfigured(credentials.client_config()?)
            // None but the one that was chosen for this address.
            .no_proxy();
        if let Some(proxy) = &self.proxy {
            let proxy = reqwest::Proxy::all(proxy.url().clone()).map_err(innermost_cause)?;
            builder = builder.proxy(proxy);
        }
        if let Some(socket) = self.address.socket() {
            builder = builder.unix_socket(socket);
        }
        builder.build().map_err(innermost_cause)
    }

    /// Has TLS ask for the name that the certificate must have. What the server is told in the
    /// header `Host` stays what the address says.
    pub fn prepare(&self, request: &mut Request) {
        let Some(name) = &self.server_name else { return };
        let Some(host) = authority(request.url()) else { return };
        // A name that is none was refused with the configuration.
        if request.url_mut().set_host(Some(name)).is_ok() {
            request.headers_mut().insert(HOST, host);
        }
    }

    /// Whether names are asked for that nobody has answered.
    pub fn waits_for_names(&self) -> bool {
        self.names.is_waiting()
    }
}

/// Host and port of a URL, the port only if it is not that of its scheme.
fn authority(url: &Url) -> Option<HeaderValue> {
    let host = url.host_str()?;
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::try_from(authority).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::super::proxy::Proxies;
    use super::super::tls::Tls;
    use super::*;

    fn route(address: &str, server_name: &str) -> Route {
        let address = BaseUrl::parse(address).unwrap();
        let tls = Tls { server_name: Some(server_name.to_owned()), ..Tls::default() };
        let config = ClientConfig {
            addresses: vec![address.clone()],
            tls,
            trust_setting: "ca_cert",
            proxies: Proxies::default(),
            request_timeout: Duration::from_secs(1),
        };
        Route::new(&address, &config, Arc::new(NameResolver::new())).unwrap()
    }

    #[test]
    fn tls_asks_for_the_name_in_the_certificate_and_http_for_the_one_in_the_address() {
        for (address, asked, host) in [
            ("https://10.0.0.1:8200", "https://vault.example:8200/v1/a%2Fb?c=d", "10.0.0.1:8200"),
            ("https://one.example", "https://vault.example/v1/a%2Fb?c=d", "one.example"),
            ("https://[::1]:8200", "https://vault.example:8200/v1/a%2Fb?c=d", "[::1]:8200"),
        ] {
            let url = BaseUrl::parse(address).unwrap().join("/v1/a%2Fb", Some("c=d")).unwrap();
            let mut request = Request::new(Method::GET, url);
            route(address, "vault.example").prepare(&mut request);
            assert_eq!(request.url().as_str(), asked);
            assert_eq!(request.headers().get(HOST).unwrap(), host);
        }
    }

    #[test]
    fn without_tls_nobody_asks_for_that_name() {
        let url = BaseUrl::parse("http://10.0.0.1:8200").unwrap().join("/v1/a", None).unwrap();
        let mut request = Request::new(Method::GET, url.clone());
        route("http://10.0.0.1:8200", "vault.example").prepare(&mut request);
        assert_eq!((request.url(), request.headers().get(HOST)), (&url, None));
    }
}
