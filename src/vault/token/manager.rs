//! The token in use: where it comes from, and what takes its place when it dies.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::auth::AuthMethod;
use super::file::TokenFile;
use super::lease::{self, Lease, TokenExpiry};
use crate::notice::Notices;
use crate::sync::Mutex;
use crate::vault::cluster::Cluster;
use crate::vault::mounts::{self, Mounted};
use crate::vault::transport::RequestHeaders;
use crate::vault::{Mount, Token, VaultError};

/// How long a new token that is refused like the dead one before it is not replaced again.
///
/// A policy may forbid a living token even to look itself up, and then it looks like a dead one:
/// without this every login would log in to Vault.
const REPLACEMENT_REFUSED_FOR: Duration = Duration::from_secs(30);

/// How long Vault's refusal to let us log in is taken for its answer. Vault locks out who asks
/// again and again with a wrong password.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// Where tokens come from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// The configuration or the environment.
    Static(Token),
    /// A file that somebody else keeps up to date.
    File(TokenFile),
    /// An auth method.
    Login(AuthMethod),
}

/// The token in use.
pub struct TokenManager {
    source: TokenSource,
    cluster: Arc<Cluster>,
    mount: Mount,
    notices: Notices,
    state: Mutex<State>,
    /// Held while a token is judged or obtained, so that many who need one cause one login.
    obtaining: tokio::sync::Mutex<()>,
    generation: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    held: Option<ActiveToken>,
    generation: u64,
    /// The token that took a dead one's place and is refused like it.
    replacement_refused: Option<(u64, Instant)>,
    /// When a token was last found alive, and which.
    alive: Option<(u64, Instant)>,
    /// When a token was last asked for in vain.
    failure: Option<(Instant, VaultError)>,
}

/// A token in use, as one who sends a request sees it.
#[derive(Clone)]
pub struct ActiveToken {
    /// The token.
    pub token: Token,
    /// Which one of the process's life this is; another one has another number.
    pub generation: u64,
    /// How long it lives, as far as that was told.
    pub lease: Option<Lease>,
}

/// Why a token is wanted.
enum TokenRequestReason {
    /// There is none, or it may have changed.
    Any,
    /// This one was answered with a 403.
    InsteadOfForbidden(ActiveToken),
    /// This one nears its end.
    InsteadOfEnding(ActiveToken),
}

impl TokenManager {
    /// Has no token yet.
    pub fn new(source: TokenSource, cluster: Arc<Cluster>, mount: Mount, notices: Notices) -> Self {
        Self {
            source,
            cluster,
            mount,
            notices,
            state: Mutex::default(),
            obtaining: tokio::sync::Mutex::default(),
            generation: watch::Sender::new(0),
        }
    }

    /// The cluster that knows the token.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// The notices of the background.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// When the token in use ends, as far as that was told.
    pub fn end(&self) -> Option<TokenExpiry> {
        Some(self.held()?.lease?.wall_clock_end())
    }

    /// Where tokens come from.
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    /// Tells of every new token.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The token to send; obtained if there is none.
    ///
    /// # Errors
    /// What keeps us from obtaining one.
    pub async fn token(self: &Arc<Self>) -> Result<ActiveToken, VaultError> {
        let may_have_changed = match &self.source {
            TokenSource::File(file) => file.is_to_be_checked(),
            TokenSource::Static(_) | TokenSource::Login(_) => false,
        };
        match self.held().filter(|_| !may_have_changed) {
            Some(held) => Ok(held),
            None => self.get(TokenRequestReason::Any).await?.ok_or_else(no_token),
        }
    }

    /// What to do about a 403 that came for `held`: another token to try with, or `None` if the
    /// token is alive and a policy refuses.
    ///
    /// The texts of a dead token and of a policy are no contract, so it is found out otherwise: a
    /// living token may look itself up, or at least read something in the mount.
    ///
    /// # Errors
    /// [`VaultError::TokenInvalid`] when the token is dead and there is no other, or what keeps us
    /// from finding out or from obtaining another one.
    pub async fn after_forbidden(
        self: &Arc<Self>,
        held: &ActiveToken,
    ) -> Result<Option<ActiveToken>, VaultError> {
        self.get(TokenRequestReason::InsteadOfForbidden(held.clone())).await
    }

    /// What a second 403 means, that came for the token which took a dead one's place.
    ///
    /// # Errors
    /// What keeps us from finding out.
    pub async fn after_second_refusal(&self, held: &ActiveToken) -> Result<(), VaultError> {
        if !self.is_alive(&held.token).await? {
            self.lock().replacement_refused = Some((held.generation, Instant::now()));
        }
        Ok(())
    }

    /// Logs in anew while the token in use goes on being used.
    ///
    /// # Errors
    /// Those of the login.
    pub async fn replace(
        self: &Arc<Self>,
        ending: &ActiveToken,
    ) -> Result<ActiveToken, VaultError> {
        self.get(TokenRequestReason::InsteadOfEnding(ending.clone())).await?.ok_or_else(no_token)
    }

    /// Keeps what a renewal or a look-up told of the token in use.
    pub fn learn(&self, generation: u64, lease: Lease) {
        if let Some(held) = &mut self.lock().held
            && held.generation == generation
        {
            held.lease = Some(lease);
        }
    }

    /// Does it in a task of its own: a login that gives up waiting must not cut off what the next
    /// one needs, least of all the exchange of a wrapping token, which works once.
    async fn get(
        self: &Arc<Self>,
        want: TokenRequestReason,
    ) -> Result<Option<ActiveToken>, VaultError> {
        let identity = Arc::clone(self);
        let asked = Instant::now();
        tokio::spawn(async move {
            let _obtaining = identity.obtaining.lock().await;
            identity.get_alone(want, asked).await
        })
        .await
        .unwrap_or_else(|_| Err(no_token()))
    }

    async fn get_alone(
        &self,
        want: TokenRequestReason,
        asked: Instant,
    ) -> Result<Option<ActiveToken>, VaultError> {
        let former = match &want {
            TokenRequestReason::Any => None,
            TokenRequestReason::InsteadOfForbidden(former)
            | TokenRequestReason::InsteadOfEnding(former) => Some(former),
        };
        let newer = self.held().filter(|held| match former {
            Some(former) => held.generation != former.generation,
            None => !matches!(self.source, TokenSource::File(_)),
        });
        if newer.is_some() {
            return Ok(newer);
        }
        if let Some(error) = self.failure_since(asked) {
            return Err(error);
        }
        if let TokenRequestReason::InsteadOfForbidden(former) = &want {
            if self.is_replacement_refused(former, asked) {
                return Ok(None);
            }
            let started = Instant::now();
            if self.is_alive(&former.token).await? {
                self.lock().alive = Some((former.generation, started));
                return Ok(None);
            }
        }
        let started = Instant::now();
        let obtained = self.obtain(&want).await;
        self.lock().failure = obtained.as_ref().err().map(|error| (started, error.clone()));
        obtained.map(Some)
    }

    /// Gets a token from its source.
    async fn obtain(&self, want: &TokenRequestReason) -> Result<ActiveToken, VaultError> {
        let is_dead = matches!(want, TokenRequestReason::InsteadOfForbidden(_));
        match &self.source {
            TokenSource::Static(_) if is_dead => Err(VaultError::TokenInvalid {
                advice: "put a new one into vault_token (or VAULT_TOKEN) and restart Synapse"
                    .to_owned(),
            }),
            TokenSource::Static(token) => Ok(self.hold(token.clone(), None)),
            TokenSource::File(file) => {
                let token = file.read(&self.cluster, &self.notices).await?;
                match self.held() {
                    Some(held) if held.token == token && !is_dead => Ok(held),
                    Some(held) if held.token == token => Err(VaultError::TokenInvalid {
                        advice: format!("{} still holds it; put a new one there", file.path()),
                    }),
                    _ => Ok(self.hold(token, None)),
                }
            }
            TokenSource::Login(method) => {
                if is_dead {
                    // Should the login fail, the next one must not begin with a dead token.
                    self.lock().held = None;
                }
                let granted = method.login(&self.cluster, &self.notices).await?;
                Ok(self.hold(granted.token, Some(granted.lease)))
            }
        }
    }

    /// Whether Vault knows the token.
    async fn is_alive(&self, token: &Token) -> Result<bool, VaultError> {
        if let lease::Lookup::Alive(_) = lease::look_up(&self.cluster, token).await? {
            return Ok(true);
        }
        let request = mounts::request(&self.mount);
        let answer = self.cluster.send(&request, RequestHeaders::Token(token)).await?;
        Ok(!matches!(mounts::parse_response(&self.mount, &answer)?, Mounted::Unknown))
    }

    /// Whether it was found out since `asked` that the token is alive, or a short while ago that a
    /// new one is refused as well.
    fn is_replacement_refused(&self, former: &ActiveToken, asked: Instant) -> bool {
        let state = self.lock();
        let is_alive = state
            .alive
            .is_some_and(|(generation, at)| generation == former.generation && at >= asked);
        let is_futile = state.replacement_refused.is_some_and(|(generation, at)| {
            generation == former.generation && at.elapsed() < REPLACEMENT_REFUSED_FOR
        });
        is_alive || is_futile
    }

    /// The failure of another one's try that began after this one wanted a token, or of a login
    /// that was refused a moment ago.
    fn failure_since(&self, asked: Instant) -> Option<VaultError> {
        let state = self.lock();
        let (started, error) = state.failure.as_ref()?;
        let is_refused = matches!(error, VaultError::LoginRefused { .. });
        (*started >= asked || (is_refused && started.elapsed() < REFUSED_FOR))
            .then(|| error.clone())
    }

    fn hold(&self, token: Token, lease: Option<Lease>) -> ActiveToken {
        let held = {
            let mut state = self.lock();
            state.generation += 1;
            let held = ActiveToken { token, generation: state.generation, lease };
            state.held = Some(held.clone());
            held
        };
        self.generation.send_replace(held.generation);
        held
    }

    fn held(&self) -> Option<ActiveToken> {
        self.lock().held.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn no_token() -> VaultError {
    VaultError::Unexpected("the module could not get a Vault token".to_owned())
}
