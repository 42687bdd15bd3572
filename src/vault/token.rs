//! The token by which Vault knows us.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// A Vault token, known to fit into a header.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// Takes a token; white space around it, such as a file's last newline, is dropped.
    ///
    /// # Errors
    /// When it is empty or holds characters that no header can carry. The token is not shown.
    pub fn parse(token: &SecretString) -> Result<Self, &'static str> {
        let token = token.expose_secret().trim();
        if token.is_empty() {
            return Err("is empty");
        }
        let unfit = "holds a character that no Vault token has; \
                     tokens are letters, digits and punctuation of ASCII";
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unfit);
        }
        let mut value = HeaderValue::from_str(token).map_err(|_| unfit)?;
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
