//! Where Vault listens, and the URLs of its API.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

/// All but RFC 3986's unreserved characters and the separators that a path may show as they are.
///
/// `%`, `\`, `?` and `#` are in it, so nothing in a path ends it or is resolved as part of it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'@')
    .remove(b':')
    .remove(b'=');

/// The address of a Vault or OpenBao server, with the path of a proxy in front of it if it has one.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Takes `http://` and `https://` addresses without credentials, query or fragment.
    ///
    /// # Errors
    /// What is wrong with the address and how to write it, in words that hold no credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !["http://", "https://"].iter().any(|scheme| starts_with_ignoring_case(text, scheme)) {
            return Err("must begin with http:// or https://, \
                        as in \"https://vault.example.org:8200\""
                .to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("is not an address: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no user name or password; \
                        Vault knows the module by its vault_token"
                .to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must hold no \"?\" and no \"#\"".to_owned());
        }
        let path = url.path().trim_end_matches('/');
        if path == "/v1" || path.ends_with("/v1") {
            return Err("must be the address alone; leave out the \"/v1\"".to_owned());
        }
        Ok(Self(url))
    }

    /// Whether the connection is to be encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether a URL leads to this server: scheme, host and port are the same.
    #[must_use]
    pub fn has_origin_of(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// The URL of an API path such as `secret/data/matrix/users/@alice:example.org`.
    ///
    /// The path's characters arrive at Vault as they are given here. It must hold no empty, `.`
    /// or `..` segment, which URL parsers resolve: `None` if the URL would not be this path's.
    #[must_use]
    pub fn api_url(&self, path: &str, query: Option<&str>) -> Option<Url> {
        let prefix = self.0.path().trim_end_matches('/');
        let full_path = format!("{prefix}/v1/{}", utf8_percent_encode(path, ENCODED));
        let mut url = self.0.clone();
        url.set_path(&full_path);
        url.set_query(query);
        (url.path() == full_path).then_some(url)
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Without the slash that a bare address is given by URL parsers.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(address: &str, path: &str) -> Option<String> {
        Address::parse(address).unwrap().api_url(path, None).map(String::from)
    }

    #[test]
    fn the_api_lies_below_the_address() {
        for (address, url) in [
            ("http://localhost:8200", "http://localhost:8200/v1/secret/data/u"),
            ("http://localhost:8200/", "http://localhost:8200/v1/secret/data/u"),
            ("HTTPS://Example.org/vault/", "https://example.org/vault/v1/secret/data/u"),
            ("https://[::1]:8200", "https://[::1]:8200/v1/secret/data/u"),
        ] {
            assert_eq!(url_of(address, "secret/data/u").unwrap(), url);
        }
    }

    #[test]
    fn characters_that_mean_something_in_a_url_are_encoded() {
        assert_eq!(
            url_of("http://v", "kv/@a%2e?#\\+ ü:x").unwrap(),
            "http://v/v1/kv/@a%252e%3F%23%5C%2B%20%C3%BC:x"
        );
    }

    #[test]
    fn a_path_that_would_be_resolved_has_no_url() {
        for path in ["a/../b", "a/./b", "..", "a/.."] {
            assert_eq!(url_of("http://v", path), None, "{path}");
        }
    }
}
