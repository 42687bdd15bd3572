//! The token for the admin API: fetched when it is needed, kept until shortly before its end.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;

use super::oauth::{Endpoint, OAuth};
use super::{MasError, RequestKind};
use crate::homeserver::AccessToken;
use crate::sync::Mutex;

/// What the token is for.
const SCOPE: &str = "urn:mas:admin";

/// How long a token counts as valid if MAS does not say.
const UNSAID_LIFE: Duration = Duration::from_secs(60);

/// How long a token is kept at most, whatever life it is said to have.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long before its end a token is replaced, at most.
const MARGIN: Duration = Duration::from_secs(30);

/// The token for the admin API.
#[derive(Default)]
pub(super) struct AccessTokens {
    state: Mutex<State>,
    /// Held while a token is fetched, so that many who need one cause one request.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<HeldToken>,
    /// The number of tokens that there have been.
    fetched: u64,
    /// How the last attempt to fetch one failed, and when that began.
    failed: Option<(Instant, MasError)>,
}

/// A token in use.
#[derive(Clone)]
pub(super) struct HeldToken {
    pub token: AccessToken,
    number: u64,
    /// By the monotonic clock: the system's may be set, and MAS' may be wrong.
    good_until: Instant,
}

impl AccessTokens {
    /// The token in use, another one than `refused`. Fetches one if there is none.
    ///
    /// # Errors
    /// Why no token can be fetched.
    pub(super) async fn token(
        &self,
        oauth: &OAuth,
        refused: Option<&HeldToken>,
    ) -> Result<HeldToken, MasError> {
        let asked_at = Instant::now();
        if let Some(held) = self.held(refused) {
            return Ok(held);
        }
        let _guard = self.fetching.lock().await;
        if let Some(held) = self.held(refused) {
            return Ok(held);
        }
        if let Some((began, error)) = &self.state.lock().failed
            && *began >= asked_at
        {
            return Err(error.clone());
        }
        let began = Instant::now();
        let fetched = fetch(oauth).await;
        let mut state = self.state.lock();
        match fetched {
            Ok((token, life)) => {
                state.fetched += 1;
                let good_until = began + life.saturating_sub(MARGIN.min(life / 5));
                let held = HeldToken { token, number: state.fetched, good_until };
                state.held = Some(held.clone());
                Ok(held)
            }
            Err(error) => {
                state.failed = Some((began, error.clone()));
                Err(error)
            }
        }
    }

    fn held(&self, refused: Option<&HeldToken>) -> Option<HeldToken> {
        let state = self.state.lock();
        let is_good = |held: &&HeldToken| {
            held.good_until > Instant::now()
                && refused.is_none_or(|refused| refused.number != held.number)
        };
        state.held.as_ref().filter(is_good).cloned()
    }
}

/// API: <https://www.rfc-editor.org/rfc/rfc6749#section-4.4>
async fn fetch(oauth: &OAuth) -> Result<(AccessToken, Duration), MasError> {
    let fields = [("grant_type", "client_credentials"), ("scope", SCOPE)];
    let answer = oauth.post(RequestKind::Token, Endpoint::Token, &fields, "").await?;
    // What serde has against an answer may repeat it, token and all.
    let odd = || {
        MasError::unsent(
            "the token endpoint of Matrix Authentication Service answered without a token; check \
             that this is its address",
        )
    };
    let body: TokenBody = serde_json::from_slice(&answer.body).map_err(|_| odd())?;
    let token = AccessToken::parse(&body.access_token).map_err(|_| odd())?;
    let life = body.expires_in.map_or(UNSAID_LIFE, Duration::from_secs);
    Ok((token, life.min(LONGEST_LIFE)))
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretString,
    expires_in: Option<u64>,
}
