//! Where a server listens.

use std::fmt;

use url::{Host, Url};

/// The address of a server, with the path of a proxy in front of it if it has one.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// What is wrong with an address, in words that hold no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Of another scheme, or of none.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// Nothing that a URL parser takes.
    #[error("is not an address: {0}")]
    Malformed(url::ParseError),
    /// With a user name or password.
    #[error("must hold no user name or password")]
    Credentials,
    /// With a query or fragment.
    #[error("must hold no \"?\" and no \"#\"")]
    QueryOrFragment,
}

impl BaseUrl {
    /// Takes `http://` and `https://` addresses without credentials, query or fragment.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let text = text.trim();
        if !["http://", "https://"].iter().any(|scheme| starts_with_ignoring_case(text, scheme)) {
            return Err(BaseUrlError::Scheme);
        }
        let url = Url::parse(text).map_err(BaseUrlError::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::QueryOrFragment);
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

    /// The path of the proxy, without a slash at its end; mostly empty.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// The URL of a path below this address, which begins with a slash and is percent-encoded.
    ///
    /// `None` if the URL would not be this path's: parsers resolve `.` and `..` segments.
    #[must_use]
    pub fn join(&self, encoded_path: &str, query: Option<&str>) -> Option<Url> {
        let full_path = format!("{}{encoded_path}", self.path());
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
impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
