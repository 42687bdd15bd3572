//! A file that somebody else keeps a token in, such as Vault Agent's sink.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::wrapping::unwrap;
use crate::credential::{SAID_EVERY, SecretFile, same};
use crate::notice::Notices;
use crate::notice::Throttle;
use crate::sync::Mutex;
use crate::vault::cluster::Cluster;
use crate::vault::{Token, VaultError};

/// How often it is checked, as requests come, whether the file has changed.
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
    /// The content that was last understood, and the token that it meant.
    understood: Option<(SecretString, Token)>,
}

/// What a file's content means.
enum Meaning {
    Token(SecretString),
    Wrapped(SecretString),
}

impl TokenFile {
    /// Takes a file that was read once.
    ///
    /// # Errors
    /// When what it holds now is no token. The content is not shown.
    pub fn new(file: SecretFile) -> Result<Self, String> {
        let content = file.last_good();
        match meaning(&content)? {
            Meaning::Token(token) | Meaning::Wrapped(token) => {
                Token::parse(&token).map_err(str::to_owned)?;
            }
        }
        Ok(Self { file, state: Arc::default(), throttle: Arc::new(Throttle::new(SAID_EVERY)) })
    }

    /// Where the file is.
    pub fn path(&self) -> String {
        self.file.path().to_string()
    }

    /// Whether some time has passed since the file was read.
    pub fn is_to_be_checked(&self) -> bool {
        self.state().checked.is_none_or(|checked| checked.elapsed() > CHECKED_EVERY)
    }

    /// The token that the file holds now; the last good one if it holds none any more.
    ///
    /// # Errors
    /// When it holds a wrapped token that Vault does not unwrap.
    pub async fn read(
        &self,
        cluster: &Arc<Cluster>,
        notices: &Notices,
    ) -> Result<Token, VaultError> {
        self.state().checked = Some(Instant::now());
        let content = self.file.read(notices).await;
        let last_good = match &self.state().understood {
            Some((known, token)) if same(known, &content) => return Ok(token.clone()),
            Some((_, token)) => Some(token.clone()),
            None => None,
        };
        let token = match meaning(&content) {
            Ok(Meaning::Token(token)) => Ok(token),
            Ok(Meaning::Wrapped(token)) => match unwrap(cluster, &token, "token").await {
                Ok(token) => Ok(token),
                Err(error) if last_good.is_none() => return Err(error),
                Err(error) => Err(format!("cannot be unwrapped: {error}")),
            },
            Err(error) => Err(error),
        };
        let token = token.and_then(|token| Token::parse(&token).map_err(str::to_owned));
        let complain = |error: Option<String>| {
            self.throttle.say(error, |error| {
                notices.error(format!(
                    "the token in {} {error}; going on with the one before",
                    self.path()
                ));
            });
        };
        match (token, last_good) {
            (Ok(token), _) => {
                complain(None);
                self.state().understood = Some((content, token.clone()));
                Ok(token)
            }
            (Err(error), Some(last_good)) => {
                complain(Some(error));
                Ok(last_good)
            }
            (Err(error), None) => Err(VaultError::TokenInvalid {
                advice: format!("the token in {} {error}", self.path()),
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Tells the forms apart: plain text; the JSON of a sink with `wrap_ttl`, whose token wraps
/// another; `{"token": …}`; and what `vault login -format=json` prints.
fn meaning(content: &SecretString) -> Result<Meaning, String> {
    let text = content.expose_secret();
    if !text.starts_with('{') {
        return Ok(Meaning::Token(content.clone()));
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
        Some(Value::String(token)) if is_wrapped => Ok(Meaning::Wrapped(token.into())),
        Some(Value::String(token)) => Ok(Meaning::Token(token.into())),
        _ => Err("is JSON whose token is not a string".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(content: &str) -> Result<(bool, String), String> {
        meaning(&SecretString::from(content)).map(|meaning| match meaning {
            Meaning::Token(token) => (false, token.expose_secret().to_owned()),
            Meaning::Wrapped(token) => (true, token.expose_secret().to_owned()),
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
