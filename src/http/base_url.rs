//! Where a server listens.

use std::fmt;
use std::path::{Path, PathBuf};

use url::{Host, Url};

/// The address of a server, with the path of a proxy in front of it if it has one.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
    /// The Unix socket at which the server listens, if it is no port. HTTP is spoken there.
    socket: Option<PathBuf>,
}

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
        Ok(Self { url, socket: None })
    }

    /// Takes `unix://` and the whole path of a Unix socket; `None` for anything else.
    #[must_use]
    pub fn parse_unix_socket(text: &str) -> Option<Self> {
        let path = text.trim();
        let path =
            path.get("unix://".len()..).filter(|_| starts_with_ignoring_case(path, "unix://"))?;
        // The host is what servers there are told to be asked for.
        let url = Url::parse("http://localhost").ok()?;
        (path.starts_with('/') && !path.ends_with('/'))
            .then(|| Self { url, socket: Some(PathBuf::from(path)) })
    }

    /// The Unix socket at which the server listens, if it is no port.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Name or IP address of the server.
    #[must_use]
    pub fn host(&self) -> Option<Host<&str>> {
        self.url.host()
    }

    /// The port at which the server listens, which may be that of its scheme.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.url.port_or_known_default()
    }

    /// Whether the connection is to be encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The server alone, without the path of a proxy.
    #[must_use]
    pub fn origin(&self) -> Self {
        let mut url = self.url.clone();
        url.set_path("");
        Self { url, socket: self.socket.clone() }
    }

    /// Whether a URL leads to this server: scheme, host and port are the same.
    #[must_use]
    pub fn has_origin_of(&self, url: &Url) -> bool {
        self.socket.is_none() && self.url.origin() == url.origin()
    }

    /// The path of the proxy, without a slash at its end; mostly empty.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// The URL of a path below this address, which begins with a slash and is percent-encoded.
    ///
    /// `None` if the URL would not be this path's: parsers resolve `.` and `..` segments.
    #[must_use]
    pub fn join(&self, encoded_path: &str, query: Option<&str>) -> Option<Url> {
        let full_path = format!("{}{encoded_path}", self.path());
        let mut url = self.url.clone();
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
        match &self.socket {
            Some(path) => write!(f, "unix://{}", path.display()),
            None => f.write_str(self.url.as_str().trim_end_matches('/')),
        }
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_have_whole_paths() {
        for text in ["unix:///run/bao.sock", " UNIX:///run/bao.sock "] {
            let address = BaseUrl::parse_unix_socket(text).unwrap();
            assert_eq!(address.to_string(), "unix:///run/bao.sock");
            assert_eq!(address.socket(), Some(Path::new("/run/bao.sock")));
            assert!(address.is_loopback() && !address.is_https());
            let url = address.join("/v1/sys/health", None).unwrap();
            assert_eq!(url.as_str(), "http://localhost/v1/sys/health");
            assert!(!address.has_origin_of(&url));
        }
        for text in ["unix://run/bao.sock", "unix://", "unix:///run/", "unix:/run/a", "http://a"] {
            assert_eq!(BaseUrl::parse_unix_socket(text), None, "{text}");
        }
    }
}
