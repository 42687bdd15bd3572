//! The token by which Vault knows us, and other values that travel in headers.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::text::header_token;

/// A Vault token, known to fit into a header.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(HeaderValue);

impl Token {
    /// Takes a token; white space around it, such as a file's last newline, is dropped.
    ///
    /// # Errors
    /// When it is empty or holds characters that no header can carry. The token is not shown.
    pub fn parse(token: &SecretString) -> Result<Self, &'static str> {
        let token = header_token(token.expose_secret())?;
        let mut value = HeaderValue::from_str(token).map_err(|_| "is no header's value")?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// The namespace in which an auth method is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthNamespace {
    /// The one that everything else is in.
    Configured,
    /// The outermost one, which has no name.
    Root,
    /// This one.
    Other(Namespace),
}

impl AuthNamespace {
    /// Takes a path, or `root` or `/` for the outermost namespace.
    ///
    /// # Errors
    /// When a header cannot carry it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "root" | "/" => Ok(Self::Root),
            path => Namespace::parse(path).map(Self::Other),
        }
    }
}

/// A namespace of Vault Enterprise or `OpenBao`, such as `team/matrix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(HeaderValue);

impl Namespace {
    /// Takes a path of printable ASCII; slashes around it are dropped.
    ///
    /// # Errors
    /// When a header cannot carry it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().trim_matches('/');
        let unfit = "must be a path of printable ASCII, such as \"team/matrix\"";
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unfit);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| unfit)
    }

    pub(super) fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}
