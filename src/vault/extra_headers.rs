//! Headers that an access proxy in front of Vault wants, beside Vault's own.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::credential::Credential;
use crate::notice::{Notices, Throttle};
use crate::sync::Mutex;

/// How often a request reads the files again.
const READ_EVERY: Duration = Duration::from_secs(10);

/// How often the same line about a header is logged.
const SAID_EVERY: Duration = Duration::from_secs(3600);

/// Headers between two neighbours, which are no proxy's to hand on, and those of the message
/// itself.
const REFUSED: &[&str] = &[
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header for every request to Vault. Its value is confidential.
#[derive(Clone, Debug)]
pub struct ExtraHeader {
    name: HeaderName,
    value: Credential,
    /// Whether a proxy adds Vault's token, which the header must not do then.
    is_token_added: bool,
}

/// All such headers, with the values that they have now.
pub struct ExtraHeaders {
    headers: Vec<ExtraHeader>,
    notices: Notices,
    throttle: Throttle,
    known: Mutex<Known>,
}

struct Known {
    values: HeaderMap,
    read: Instant,
}

impl ExtraHeader {
    /// Takes a header with its value. `is_token_added` tells that a proxy adds Vault's token.
    ///
    /// # Errors
    /// When the header is none that an administrator may set, or has no such value now. The value
    /// is not shown.
    pub fn new(name: &str, value: Credential, is_token_added: bool) -> Result<Self, &'static str> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name of a header")?;
        let text = name.as_str();
        if text.starts_with("x-vault-") || text.starts_with("content-") || REFUSED.contains(&text) {
            return Err("must be none of the headers of Vault, of HTTP itself or of the body");
        }
        let header = Self { name, value, is_token_added };
        let now = match &header.value {
            Credential::Inline(secret) => secret.clone(),
            Credential::File(file) => file.last_good(),
        };
        header.parse(&now)?;
        Ok(header)
    }

    fn parse(&self, secret: &SecretString) -> Result<HeaderValue, &'static str> {
        let text = secret.expose_secret().trim();
        if text.is_empty() {
            return Err("is empty");
        }
        if self.is_token_added && self.name == AUTHORIZATION && is_bearer(text) {
            return Err(
                "must not begin with Bearer: Vault takes that for its own token, in place of \
                        the token that the proxy adds",
            );
        }
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| "has a value with a character that no header can carry")?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Whether this is a token of the scheme `Bearer`, in any case.
fn is_bearer(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}

impl ExtraHeaders {
    /// Takes the headers with the values that they have now.
    pub fn new(headers: Vec<ExtraHeader>, notices: Notices) -> Arc<Self> {
        let values = headers.iter().filter_map(|header| {
            let secret = match &header.value {
                Credential::Inline(secret) => secret.clone(),
                Credential::File(file) => file.last_good(),
            };
            Some((header.name.clone(), header.parse(&secret).ok()?))
        });
        let known = Known { values: values.collect(), read: Instant::now() };
        Arc::new(Self {
            headers,
            notices,
            throttle: Throttle::new(SAID_EVERY),
            known: Mutex::new(known),
        })
    }

    /// The headers now. Reads the files again if that was long ago.
    pub async fn now(&self) -> HeaderMap {
        if self.are_to_be_read() {
            let mut wrong = None;
            for header in &self.headers {
                if let Credential::File(file) = &header.value {
                    let secret = file.read(&self.notices).await;
                    match header.parse(&secret) {
                        Ok(value) => {
                            self.known.lock().values.insert(header.name.clone(), value);
                        }
                        Err(error) => {
                            wrong = Some(format!("vault_headers.{} {error}", header.name));
                        }
                    }
                }
            }
            self.throttle.say(wrong, |wrong| {
                self.notices.error(format!("{wrong}; going on with the value before"));
            });
        }
        self.known.lock().values.clone()
    }

    fn are_to_be_read(&self) -> bool {
        let has_files =
            self.headers.iter().any(|header| matches!(header.value, Credential::File(_)));
        let mut known = self.known.lock();
        let is_due = has_files && known.read.elapsed() >= READ_EVERY;
        if is_due {
            // For all who ask: they go on with what is known meanwhile.
            known.read = Instant::now();
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Pipes, SecretFile};

    fn header(name: &str, value: &str, is_token_added: bool) -> Result<ExtraHeader, &'static str> {
        ExtraHeader::new(name, Credential::Inline(value.into()), is_token_added)
    }

    #[test]
    fn headers_of_vault_of_http_and_of_the_body_are_refused() {
        for name in [
            "X-Vault-Token",
            "x-vault-anything",
            "Host",
            "Content-Type",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Upgrade",
            "Proxy-Authorization",
            "a b",
            "",
        ] {
            assert!(header(name, "v", false).is_err(), "{name}");
        }
        for value in ["", " ", "a\nb", "a\u{0}"] {
            assert!(header("CF-Access-Client-Id", value, false).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_token_of_vault_is_refused_where_a_proxy_adds_one() {
        for value in ["Bearer hvs.x", "bearer  x", "BEARER\tx"] {
            assert!(header("Authorization", value, true).is_err(), "{value}");
            assert!(header("authorization", value, false).is_ok(), "{value}");
        }
        assert!(header("Authorization", "Basic eDp5", true).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_read_again_and_values_are_never_shown() {
        let path =
            std::env::temp_dir().join(format!("synapse-vault-header-{}", std::process::id()));
        std::fs::write(&path, "first\n").unwrap();
        let file = SecretFile::open(path.clone(), Pipes::Refused).unwrap();
        let from_file = ExtraHeader::new("CF-Secret", Credential::File(file), false).unwrap();
        let headers = vec![from_file, header("CF-Id", "one", false).unwrap()];
        assert!(!format!("{headers:?}").contains("first"));
        let headers = ExtraHeaders::new(headers, Notices::new(|_| {}));
        let now = headers.now().await;
        assert_eq!(
            (&now["cf-secret"], &now["cf-id"]),
            (&"first".parse().unwrap(), &"one".parse().unwrap())
        );
        assert!(now.values().all(HeaderValue::is_sensitive));
        std::fs::write(&path, "second").unwrap();
        tokio::time::advance(READ_EVERY).await;
        assert_eq!(headers.now().await["cf-secret"], "second");
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(READ_EVERY).await;
        assert_eq!(headers.now().await["cf-secret"], "second");
    }
}
