//! A file in which another program keeps a token, such as Vault Agent's sink.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::wrapping::unwrap;
use crate::credential::{SAID_EVERY, SecretFile, same};
use crate::notice::{Notices, Throttle};
use crate::sync::Mutex;
use crate::vault::cluster::Cluster;
use crate::vault::{AuthNamespace, Token, VaultError};

/// How often a request checks whether the file has changed.
const CHECKED_EVERY: Duration = Duration::from_secs(1);

/// A file with a token: the token alone, or one of the JSON forms that Vault's own programs write.
#[derive(Clone, Debug)]
pub struct TokenFile {
    file: SecretFile,
    state: Arc<Mutex<State>>,
    throttle: Arc<Throttle>,
}

#[derive(Debug, Default)]
struct State {
    checked: Option<Instant>,
    /// The last content that holds a token, and that token.
    last_good: Option<(SecretString, Token)>,
}

/// What a file holds.
enum Content {
    /// The token itself.
    Token(SecretString),
    /// A token that is exchanged for the token itself, once.
    Wrapped(SecretString),
}

impl TokenFile {
    /// Takes a file that has been read once.
    ///
    /// # Errors
    /// When it holds no token now. The content is not shown.
    pub fn new(file: SecretFile) -> Result<Self, String> {
        let content = file.last_good();
        match parse(&content)? {
            Content::Token(token) | Content::Wrapped(token) => {
                Token::parse(&token).map_err(str::to_owned)?;
            }
        }
        Ok(Self { file, state: Arc::default(), throttle: Arc::new(Throttle::new(SAID_EVERY)) })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> String {
        self.file.path().to_string()
    }

    /// Whether the file has not been read for a second.
    #[must_use]
    pub fn is_to_be_checked(&self) -> bool {
        self.state().checked.is_none_or(|checked| checked.elapsed() > CHECKED_EVERY)
    }

    /// The token that the file holds now, or the last one if it holds none any more.
    ///
    /// # Errors
    /// When there is no last one, and Vault does not unwrap the wrapped token that it holds.
    pub async fn read(
        &self,
        cluster: &Arc<Cluster>,
        notices: &Notices,
    ) -> Result<Token, VaultError> {
        self.state().checked = Some(Instant::now());
        let content = self.file.read(notices).await;
        let last_good = match &self.state().last_good {
            Some((known, token)) if same(known, &content) => return Ok(token.clone()),
            Some((_, token)) => Some(token.clone()),
            None => None,
        };
        let token = match parse(&content) {
            Ok(Content::Token(token)) => Ok(token),
            Ok(Content::Wrapped(token)) => {
                match unwrap(cluster, &AuthNamespace::Configured, &token, "token").await {
                    Ok(token) => Ok(token),
                    Err(error) if last_good.is_none() => return Err(error),
                    Err(error) => Err(format!("cannot be unwrapped: {error}")),
                }
            }
            Err(error) => Err(error),
        };
        let token = token.and_then(|token| Token::parse(&token).map_err(str::to_owned));
        let say = |error: Option<String>| {
            self.throttle.say(error, |error| {
                notices.error(format!(
                    "the token in {} {error}; going on with the one before",
                    self.path()
                ));
            });
        };
        match (token, last_good) {
            (Ok(token), _) => {
                say(None);
                self.state().last_good = Some((content, token.clone()));
                Ok(token)
            }
            (Err(error), Some(last_good)) => {
                say(Some(error));
                Ok(last_good)
            }
            (Err(error), None) => Err(VaultError::TokenInvalid {
                advice: format!("the token in {} {error}", self.path()),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Reads one of the forms: plain text; the JSON of a sink with `wrap_ttl`, whose token wraps
/// another one; `{"token": …}`; and what `vault login -format=json` prints.
fn parse(content: &SecretString) -> Result<Content, String> {
    let text = content.expose_secret();
    if !text.starts_with('{') {
        return Ok(Content::Token(content.clone()));
    }
    let mut json: Value =
        serde_json::from_str(text).map_err(|_| "begins with { and is not JSON".to_owned())?;
    if json.get("encrypted_payload").is_some() {
        return Err("is encrypted; set up the sink without dh_type".to_owned());
    }
    let is_wrapped = json.get("creation_path").is_some() || json.get("wrapped_accessor").is_some();
    let token = [json.pointer("/token").is_some(), json.pointer("/auth/client_token").is_some()];
    let pointer = match token {
        [true, _] => "/token",
        [_, true] => "/auth/client_token",
        _ => return Err("is JSON without a token".to_owned()),
    };
    match json.pointer_mut(pointer).map(Value::take) {
        Some(Value::String(token)) if is_wrapped => Ok(Content::Wrapped(token.into())),
        Some(Value::String(token)) => Ok(Content::Token(token.into())),
        _ => Err("is JSON whose token is not a string".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(content: &str) -> Result<(bool, String), String> {
        parse(&SecretString::from(content)).map(|content| match content {
            Content::Token(token) => (false, token.expose_secret().to_owned()),
            Content::Wrapped(token) => (true, token.expose_secret().to_owned()),
        })
    }

    #[test]
    fn the_forms_that_tokens_are_kept_in() {
        assert_eq!(token("hvs.abc").unwrap(), (false, "hvs.abc".to_owned()));
        assert_eq!(token(r#"{"token":"t"}"#).unwrap(), (false, "t".to_owned()));
        assert_eq!(token(r#"{"auth":{"client_token":"t"}}"#).unwrap(), (false, "t".to_owned()));
        let wrapped = r#"{"token":"w","ttl":60,"creation_path":"sys/wrapping/wrap"}"#;
        assert_eq!(token(wrapped).unwrap(), (true, "w".to_owned()));
    }

    #[test]
    fn what_is_no_token() {
        for content in [
            "{",
            "{}",
            r#"{"token":5}"#,
            r#"{"curve25519_public_key":"","nonce":"","encrypted_payload":""}"#,
        ] {
            token(content).unwrap_err();
        }
    }
}
