//! Where Vault listens, and the URLs of its API.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::http::{BaseUrl, BaseUrlError};

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
pub struct Address(BaseUrl);

impl Address {
    /// Takes `http://` and `https://` addresses without credentials, query or fragment, and
    /// `unix://` with the whole path of a socket.
    ///
    /// # Errors
    /// What is wrong with the address and how to write it, in words that hold no credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(socket) = BaseUrl::parse_unix_socket(text) {
            return Ok(Self(socket));
        }
        let url = BaseUrl::parse(text).map_err(|error| match error {
            BaseUrlError::Scheme => {
                format!(
                    "{error}, as in \"https://vault.example.org:8200\", \
                     or be unix:// and the whole path of a socket"
                )
            }
            BaseUrlError::Credentials => {
                format!("{error}; Vault knows the module by its vault_token")
            }
            _ => error.to_string(),
        })?;
        if url.path().ends_with("/v1") {
            return Err("must be the address alone; leave out the \"/v1\"".to_owned());
        }
        Ok(Self(url))
    }

    /// The address as the transport takes it.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.0
    }

    /// Whether the connection is to be encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.is_https()
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.is_loopback()
    }

    /// Whether this is where Vault's web interface is, and not its API.
    #[must_use]
    pub fn is_web_interface(&self) -> bool {
        self.0.path().split('/').any(|segment| segment == "ui")
    }

    /// Whether a URL leads to this server: scheme, host and port are the same.
    #[must_use]
    pub fn has_origin_of(&self, url: &Url) -> bool {
        self.0.has_origin_of(url)
    }

    /// The URL of an API path such as `secret/data/matrix/users/@alice:example.org`.
    ///
    /// The path's characters arrive at Vault as they are given here. It must hold no empty, `.`
    /// or `..` segment, which URL parsers resolve: `None` if the URL would not be this path's.
    #[must_use]
    pub fn api_url(&self, path: &str, query: Option<&str>) -> Option<Url> {
        self.0.join(&format!("/v1/{}", utf8_percent_encode(path, ENCODED)), query)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
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
    fn the_web_interface_is_known_by_its_path() {
        let is_web_interface = |text| Address::parse(text).unwrap().is_web_interface();
        assert!(is_web_interface("https://v:8200/ui"));
        assert!(is_web_interface("https://v:8200/ui/vault/secrets/"));
        assert!(!is_web_interface("https://v:8200/proxied/gui"));
    }

    #[test]
    fn a_path_that_would_be_resolved_has_no_url() {
        for path in ["a/../b", "a/./b", "..", "a/.."] {
            assert_eq!(url_of("http://v", path), None, "{path}");
        }
    }
}
