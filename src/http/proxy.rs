//! Which HTTP proxy stands between us and a server, as environment variables say it.
//!
//! `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` mean what they mean to Go's programs:
//! <https://pkg.go.dev/golang.org/x/net/http/httpproxy>. A domain in `NO_PROXY` is meant with and
//! without a dot before it, though, as curl takes it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::base_url::BaseUrl;

/// The proxies that environment variables name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Variable>,
    https: Option<Variable>,
    exceptions: Vec<Exception>,
}

/// A proxy, which may have a user name and a password in its URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Url);

/// A variable that does not name a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyError {
    /// The variable.
    pub variable: String,
    /// What is wrong with it. The value is not shown: it may hold a password.
    pub message: &'static str,
}

/// A variable and its value.
#[derive(Clone, PartialEq, Eq)]
struct Variable {
    name: &'static str,
    value: String,
}

/// What needs no proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A domain and all below it, at any port or at this one.
    Domain(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    /// The addresses that begin with so many bits of this one.
    Network(IpAddr, u8),
}

impl Proxies {
    /// Those of every program.
    #[must_use]
    pub fn from_environment(environment: &HashMap<String, String>) -> Self {
        // A server that runs a program for a request passes the header `Proxy` as HTTP_PROXY.
        if environment.contains_key("REQUEST_METHOD") {
            return Self::default();
        }
        let all = first(environment, &["ALL_PROXY", "all_proxy"]);
        let exceptions = first(environment, &["NO_PROXY", "no_proxy"])
            .map(|list| list.value.split(',').filter_map(Exception::parse).collect())
            .unwrap_or_default();
        Self {
            http: first(environment, &["HTTP_PROXY", "http_proxy"]).or_else(|| all.clone()),
            https: first(environment, &["HTTPS_PROXY", "https_proxy"]).or(all),
            exceptions,
        }
    }

    /// The proxy that the first of these variables names, for all servers and without exceptions;
    /// those of every program where none is set.
    #[must_use]
    pub fn from_variables(
        environment: &HashMap<String, String>,
        variables: &[&'static str],
    ) -> Self {
        match first(environment, variables) {
            None => Self::from_environment(environment),
            proxy => Self { http: proxy.clone(), https: proxy, exceptions: Vec::new() },
        }
    }

    /// The proxy between us and a server. What runs on this machine needs none.
    ///
    /// # Errors
    /// When the variable that counts names no proxy that can be used.
    pub fn for_address(&self, address: &BaseUrl) -> Result<Option<Proxy>, ProxyError> {
        let variable = if address.is_https() { &self.https } else { &self.http };
        let is_exception = || self.exceptions.iter().any(|exception| exception.holds(address));
        match variable {
            Some(variable) if !address.is_loopback() && !is_exception() => {
                variable.proxy().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The variable that sends requests to this address through a proxy.
    #[must_use]
    pub fn variable_for(&self, address: &BaseUrl) -> Option<&'static str> {
        let variable = if address.is_https() { &self.https } else { &self.http };
        let is_used = !matches!(self.for_address(address), Ok(None));
        variable.as_ref().filter(|_| is_used).map(|variable| variable.name)
    }
}

impl Proxy {
    /// The whole URL, with its user name and password.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether the connection to the proxy itself is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl Variable {
    fn proxy(&self) -> Result<Proxy, ProxyError> {
        let wrong = |message| ProxyError { variable: self.name.to_owned(), message };
        let text = self.value.trim();
        let url = match text.split_once("://") {
            Some(("http" | "https" | "HTTP" | "HTTPS", _)) => Url::parse(text),
            Some(_) => return Err(wrong("must be a proxy of http:// or https://")),
            None => Url::parse(&format!("http://{text}")),
        };
        url.map(Proxy).map_err(|_| wrong("is not the address of a proxy"))
    }
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address = address.parse().ok()?;
            let bits: u8 = bits.parse().ok()?;
            return (bits <= bits_of(address).1).then_some(Self::Network(address, bits));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Some(Self::Address(address, port));
        }
        let domain = host.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
        (!domain.is_empty()).then(|| Self::Domain(domain.to_owned(), port))
    }

    fn holds(&self, server: &BaseUrl) -> bool {
        let is_at = |port: &Option<u16>| port.is_none() || *port == server.port();
        let address = match server.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        match self {
            Self::Everything => true,
            Self::Address(excepted, port) => address == Some(*excepted) && is_at(port),
            Self::Network(network, bits) => {
                address.is_some_and(|address| is_within(address, *network, *bits))
            }
            Self::Domain(domain, port) => {
                let Some(Host::Domain(host)) = server.host() else { return false };
                let host = host.trim_end_matches('.');
                let is_below = host
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_below && is_at(port)
            }
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let ((address, length), (network, length_of_network)) = (bits_of(address), bits_of(network));
    // Shifting by all bits there are is no shift: a network of no bits holds every address.
    let rest = u32::from(length - bits.min(length));
    length == length_of_network && address.checked_shr(rest) == network.checked_shr(rest)
}

/// The address as a number, and how many bits it has.
fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// The first of the variables that is set and not empty.
fn first(environment: &HashMap<String, String>, names: &[&'static str]) -> Option<Variable> {
    names.iter().find_map(|name| {
        let value = environment.get(*name).filter(|value| !value.trim().is_empty())?;
        Some(Variable { name, value: value.clone() })
    })
}

/// Without user name and password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({:?}:{:?})", self.0.host_str(), self.0.port_or_known_default())
    }
}

/// Without the value, which may hold a password.
impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> HashMap<String, String> {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    /// The proxy for an address, without the slash at its end.
    fn proxy(variables: &[(&str, &str)], address: &str) -> Result<Option<String>, ProxyError> {
        let proxies = Proxies::from_environment(&environment(variables));
        let proxy = proxies.for_address(&BaseUrl::parse(address).unwrap())?;
        Ok(proxy.map(|proxy| proxy.url().as_str().trim_end_matches('/').to_owned()))
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let both = [("HTTP_PROXY", "http://a:1"), ("https_proxy", "b:2"), ("ALL_PROXY", "c")];
        assert_eq!(proxy(&both, "http://v"), Ok(Some("http://a:1".into())));
        assert_eq!(proxy(&both, "https://v"), Ok(Some("http://b:2".into())));
        assert_eq!(proxy(&both[2..], "https://v"), Ok(Some("http://c".into())));
        assert_eq!(proxy(&[("HTTPS_PROXY", " ")], "https://v"), Ok(None));
        let passed_on = [("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET")];
        assert_eq!(proxy(&passed_on, "http://v"), Ok(None));
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        for address in ["http://localhost:8200", "http://127.0.0.9", "http://[::1]:8200"] {
            assert_eq!(proxy(&[("HTTP_PROXY", "http://a")], address), Ok(None), "{address}");
        }
        let vault = environment(&[("VAULT_PROXY_ADDR", "http://a")]);
        let proxies = Proxies::from_variables(&vault, &["VAULT_PROXY_ADDR"]);
        assert_eq!(proxies.for_address(&BaseUrl::parse("http://127.0.0.1").unwrap()), Ok(None));
    }

    #[test]
    fn exceptions_may_have_ports() {
        for (exceptions, address, is_direct) in [
            ("vault.example:8200", "http://vault.example:8200", true),
            ("vault.example:8200", "http://vault.example:8300", false),
            ("vault.example:80", "http://vault.example", true),
            ("vault.example", "http://vault.example:8200", true),
            ("example", "http://vault.example:8200", true),
            (".example", "http://vault.example", true),
            ("*.example", "http://vault.example", true),
            ("ault.example", "http://vault.example", false),
            ("VAULT.example.", "http://vault.example", true),
            ("10.0.0.1", "http://10.0.0.1:8200", true),
            ("10.0.0.1:8200", "http://10.0.0.1:8200", true),
            ("10.0.0.1:8201", "http://10.0.0.1:8200", false),
            ("[2001:db8::1]:8200", "http://[2001:db8::1]:8200", true),
            ("2001:db8::1", "http://[2001:db8::1]:8200", true),
            ("10.0.0.0/8", "http://10.200.0.1", true),
            ("10.0.0.0/8", "http://11.0.0.1", false),
            ("0.0.0.0/0", "http://11.0.0.1", true),
            ("0.0.0.0/0", "http://[2001:db8::1]", false),
            ("2001:db8::/32", "http://[2001:db8::1]", true),
            ("10.0.0.0/33, junk:port, , *", "http://vault.example", true),
            ("10.0.0.0/33, junk:port, ,", "http://vault.example", false),
        ] {
            let variables = [("HTTP_PROXY", "http://a"), ("no_proxy", exceptions)];
            let found = proxy(&variables, address).unwrap();
            assert_eq!(found.is_none(), is_direct, "{exceptions} {address}");
        }
    }

    #[test]
    fn vaults_own_variables_count_for_all_servers() {
        let variables = environment(&[
            ("VAULT_PROXY_ADDR", "http://vaults"),
            ("HTTP_PROXY", "http://a"),
            ("NO_PROXY", "*"),
        ]);
        let names = ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"];
        let proxies = Proxies::from_variables(&variables, &names);
        for address in ["http://v", "https://v"] {
            let address = BaseUrl::parse(address).unwrap();
            assert!(proxies.for_address(&address).unwrap().is_some());
            assert_eq!(proxies.variable_for(&address), Some("VAULT_PROXY_ADDR"));
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_and_not_shown() {
        for value in ["socks5://user:hunter2@a", "http://user:hunter2@", "http://a:hunter2"] {
            let variables = [("HTTPS_PROXY", value)];
            let error = proxy(&variables, "https://v").unwrap_err();
            assert_eq!(error.variable, "HTTPS_PROXY");
            assert!(!format!("{error:?}").contains("hunter2"));
            // What does not count is not looked at.
            assert_eq!(proxy(&variables, "http://v"), Ok(None));
        }
        let variables = environment(&[("HTTPS_PROXY", "http://user:hunter2@a")]);
        let proxies = Proxies::from_environment(&variables);
        let proxy = proxies.for_address(&BaseUrl::parse("https://v").unwrap());
        assert!(!format!("{proxies:?} {proxy:?}").contains("hunter2"));
    }
}
