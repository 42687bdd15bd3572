//! Where the homeserver listens.

use std::fmt;

use crate::http::{BaseUrl, BaseUrlError};

/// The address of a homeserver, with the path of a proxy in front of it if it has one.
#[derive(Clone, PartialEq, Eq)]
pub struct HomeserverUrl(BaseUrl);

impl HomeserverUrl {
    /// Takes `http://` and `https://` addresses without credentials, query or fragment, and
    /// `unix://` with the whole path of a socket. A slash at the end of the former is forgiven.
    ///
    /// # Errors
    /// What is wrong with the address and how to write it, in words that hold no credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(socket) = BaseUrl::parse_unix_socket(text) {
            return Ok(Self(socket));
        }
        let url = BaseUrl::parse(text).map_err(|error| match error {
            BaseUrlError::Scheme => format!("{error}, as in \"https://matrix.example.org\""),
            _ => error.to_string(),
        })?;
        let api = ["/_matrix", "/_synapse"].iter().find_map(|api| url.path().find(api));
        if let Some(rest) = api.and_then(|start| url.path().get(start..)) {
            return Err(format!("must be the address alone; leave out the \"{rest}\""));
        }
        Ok(Self(url))
    }

    /// The address as the transport takes it.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.0
    }
}

impl fmt::Display for HomeserverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for HomeserverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("http://localhost:8008", "http://localhost:8008"),
            (" https://Matrix.Example.org/ ", "https://matrix.example.org"),
            ("HTTPS://example.org/synapse/", "https://example.org/synapse"),
            ("http://[::1]:8008", "http://[::1]:8008"),
            ("unix:///run/synapse/main.sock", "unix:///run/synapse/main.sock"),
        ] {
            assert_eq!(HomeserverUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refused_addresses() {
        for (text, reason) in [
            ("", "must begin with http:// or https://, as in \"https://matrix.example.org\""),
            ("example.org", "must begin with"),
            ("ftp://example.org", "must begin with"),
            ("http://", "is not an address: empty host"),
            ("http://admin:hunter2@example.org", "must hold no user name or password"),
            ("http://example.org?access_token=hunter2", "must hold no \"?\""),
            ("http://example.org#hunter2", "must hold no \"?\""),
            ("http://example.org/_matrix/client", "leave out the \"/_matrix/client\""),
            ("http://example.org/p/_synapse/", "leave out the \"/_synapse\""),
        ] {
            let error = HomeserverUrl::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
