//! The token by which the homeserver knows a session.

use std::fmt;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::text::header_token;

/// An access token, known to fit into a header. Wiped on drop and never shown.
#[derive(Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// Takes a token; white space around it, such as a file's last newline, is dropped.
    ///
    /// # Errors
    /// When it is empty or holds characters that no header can carry. The token is not shown.
    pub fn parse(token: &SecretString) -> Result<Self, &'static str> {
        Ok(Self(header_token(token.expose_secret())?.into()))
    }

    /// The token itself, to hand to whoever asked for it.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// The value of an `Authorization` header, wiped when the request is gone.
    pub(super) fn to_header(&self) -> Option<HeaderValue> {
        const SCHEME: &str = "Bearer ";
        let token = self.0.expose_secret();
        let mut text = Zeroizing::new(Vec::with_capacity(SCHEME.len().saturating_add(token.len())));
        text.extend_from_slice(SCHEME.as_bytes());
        text.extend_from_slice(token.as_bytes());
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_fit_into_a_header_and_are_not_shown() {
        let token = AccessToken::parse(&" syt_YWxpY2U_x_1\n".into()).unwrap();
        let header = token.to_header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer syt_YWxpY2U_x_1");
        assert!(!format!("{token:?} {header:?}").contains("syt_"));
    }
}
