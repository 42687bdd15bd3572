//! The token in use: where it comes from, and what replaces it when it is dead.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::auth::AuthMethod;
use super::file::TokenFile;
use super::lease::{self, Lease, TokenExpiry};
use crate::notice::Notices;
use crate::sync::Mutex;
use crate::vault::cluster::Cluster;
use crate::vault::mounts::{self, Mounted};
use crate::vault::transport::RequestHeaders;
use crate::vault::{Mount, Token, VaultError};

/// How long a replacement that is refused like the dead token before it is not replaced itself.
///
/// If a policy forbids a living token even to look itself up, it looks like a dead one. Without this
/// limit every login of a user would then log in to Vault.
const REPLACEMENT_REFUSED_FOR: Duration = Duration::from_secs(30);

/// How long Vault's refusal of a login is its answer to all who want a token. Vault locks out
/// whoever logs in again and again with a wrong password.
const LOGIN_REFUSED_FOR: Duration = Duration::from_secs(5);

/// Where tokens come from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// The configuration or the environment.
    Static(Token),
    /// A file that another program keeps up to date.
    File(TokenFile),
    /// An auth method.
    Login(AuthMethod),
}

/// Holds the token in use and gets another one.
pub struct TokenManager {
    source: TokenSource,
    cluster: Arc<Cluster>,
    mount: Mount,
    notices: Notices,
    state: Mutex<State>,
    /// Held while a token is checked or obtained, so that many who need one cause one login.
    obtaining: tokio::sync::Mutex<()>,
    generation: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    active: Option<ActiveToken>,
    /// The number of tokens that there have been.
    generation: u64,
    /// What was last found out about the token of this generation.
    verdict: Option<(u64, Verdict)>,
}

/// What was found out about a token.
enum Verdict {
    /// It is alive, by a check that began at this time. So a 403 comes from a policy.
    Alive(Instant),
    /// It is refused like the dead token that it replaced, since this time.
    ReplacementRefused(Instant),
    /// No other token could be obtained, by an attempt that began at this time.
    NotReplaced(Instant, VaultError),
}

/// The token in use, as one who sends a request sees it.
#[derive(Clone)]
pub struct ActiveToken {
    /// The token.
    pub token: Token,
    /// Its number among the tokens that this process has had.
    pub generation: u64,
    /// Its lease, as far as Vault has told.
    pub lease: Option<Lease>,
}

/// Why a token is asked for.
enum TokenRequestReason {
    /// There is none yet, or the file may hold another one.
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

    /// The cluster whose tokens these are.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Where lines for the log go that belong to no login.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// When the token in use ends, as far as Vault has told.
    pub fn end(&self) -> Option<TokenExpiry> {
        Some(self.active()?.lease?.wall_clock_end())
    }

    /// Where tokens come from.
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    /// Returns once another token than this one is in use.
    pub async fn replaced(&self, former: &ActiveToken) {
        let mut generation = self.generation.subscribe();
        // The sender lives as long as `self`.
        let _ = generation.wait_for(|generation| *generation != former.generation).await;
    }

    /// The token to send. Obtains one if there is none.
    ///
    /// # Errors
    /// Why there is none to be had.
    pub async fn token(self: &Arc<Self>) -> Result<ActiveToken, VaultError> {
        let may_have_changed = match &self.source {
            TokenSource::File(file) => file.is_to_be_checked(),
            TokenSource::Static(_) | TokenSource::Login(_) => false,
        };
        match self.active().filter(|_| !may_have_changed) {
            Some(active) => Ok(active),
            None => self.get(TokenRequestReason::Any).await?.ok_or_else(no_token),
        }
    }

    /// What to do about a 403: another token to try with, or `None` if this one is alive and a
    /// policy refuses.
    ///
    /// The texts for a dead token and for a policy that refuses are no contract. So the token is
    /// checked: a living one may look itself up, or at least read something in the mount.
    ///
    /// # Errors
    /// [`VaultError::TokenInvalid`] when the token is dead and there is no other, or what keeps us
    /// from checking it or from obtaining another one.
    pub async fn after_forbidden(
        self: &Arc<Self>,
        forbidden: &ActiveToken,
    ) -> Result<Option<ActiveToken>, VaultError> {
        self.get(TokenRequestReason::InsteadOfForbidden(forbidden.clone())).await
    }

    /// Keeps what a second 403 means, which came for the token that replaced a dead one.
    ///
    /// # Errors
    /// What keeps us from checking the token.
    pub async fn after_second_refusal(&self, replacement: &ActiveToken) -> Result<(), VaultError> {
        if !self.is_alive(&replacement.token).await? {
            self.record(replacement.generation, Verdict::ReplacementRefused(Instant::now()));
        }
        Ok(())
    }

    /// Logs in again. Until that works, the token that nears its end stays in use.
    ///
    /// # Errors
    /// Those of the login.
    pub async fn replace(
        self: &Arc<Self>,
        ending: &ActiveToken,
    ) -> Result<ActiveToken, VaultError> {
        self.get(TokenRequestReason::InsteadOfEnding(ending.clone())).await?.ok_or_else(no_token)
    }

    /// Keeps the lease that a renewal or a look-up told, if the token is still in use.
    pub fn learn(&self, generation: u64, lease: Lease) {
        if let Some(active) = &mut self.state().active
            && active.generation == generation
        {
            active.lease = Some(lease);
        }
    }

    /// Gets a token in a task of its own. A login that gives up waiting must not cut off what the
    /// next one needs, least of all the exchange of a wrapping token, which works once.
    async fn get(
        self: &Arc<Self>,
        reason: TokenRequestReason,
    ) -> Result<Option<ActiveToken>, VaultError> {
        let manager = Arc::clone(self);
        let asked = Instant::now();
        tokio::spawn(async move {
            let _obtaining = manager.obtaining.lock().await;
            manager.get_alone(reason, asked).await
        })
        .await
        .unwrap_or_else(|_| Err(no_token()))
    }

    async fn get_alone(
        &self,
        reason: TokenRequestReason,
        asked: Instant,
    ) -> Result<Option<ActiveToken>, VaultError> {
        if let Some(newer) = self.active().filter(|active| self.is_newer(active, &reason)) {
            return Ok(Some(newer));
        }
        if let Some(known) = self.known(&reason, asked) {
            return known.map(|()| None);
        }
        let started = Instant::now();
        if let TokenRequestReason::InsteadOfForbidden(former) = &reason
            && self.is_alive(&former.token).await?
        {
            self.record(former.generation, Verdict::Alive(started));
            return Ok(None);
        }
        let started = Instant::now();
        let obtained = self.obtain(&reason).await;
        if let Err(error) = &obtained {
            let generation = self.state().generation;
            self.record(generation, Verdict::NotReplaced(started, error.clone()));
        }
        obtained.map(Some)
    }

    /// Whether somebody else has already obtained what is asked for.
    fn is_newer(&self, active: &ActiveToken, reason: &TokenRequestReason) -> bool {
        match reason {
            // The file may hold another token than the one in use.
            TokenRequestReason::Any => !matches!(self.source, TokenSource::File(_)),
            TokenRequestReason::InsteadOfForbidden(former)
            | TokenRequestReason::InsteadOfEnding(former) => active.generation != former.generation,
        }
    }

    /// What was found out so recently that Vault is not asked again: that the token stays in use, or
    /// why there is no other one.
    fn known(&self, reason: &TokenRequestReason, asked: Instant) -> Option<Result<(), VaultError>> {
        let state = self.state();
        let (generation, verdict) = state.verdict.as_ref()?;
        let is_forbidden = match reason {
            TokenRequestReason::InsteadOfForbidden(former) => former.generation == *generation,
            TokenRequestReason::Any | TokenRequestReason::InsteadOfEnding(_) => false,
        };
        match verdict {
            Verdict::Alive(since) if is_forbidden && *since >= asked => Some(Ok(())),
            Verdict::ReplacementRefused(since)
                if is_forbidden && since.elapsed() < REPLACEMENT_REFUSED_FOR =>
            {
                Some(Ok(()))
            }
            Verdict::NotReplaced(since, error) => {
                let is_login_refused = matches!(error, VaultError::LoginRefused { .. });
                let holds =
                    *since >= asked || (is_login_refused && since.elapsed() < LOGIN_REFUSED_FOR);
                holds.then(|| Err(error.clone()))
            }
            Verdict::Alive(_) | Verdict::ReplacementRefused(_) => None,
        }
    }

    /// Gets a token from its source.
    async fn obtain(&self, reason: &TokenRequestReason) -> Result<ActiveToken, VaultError> {
        let is_dead = matches!(reason, TokenRequestReason::InsteadOfForbidden(_));
        match &self.source {
            TokenSource::Static(_) if is_dead => {
                Err(VaultError::TokenInvalid { advice: self.source.advice() })
            }
            TokenSource::Static(token) => Ok(self.activate(token.clone(), None)),
            TokenSource::File(file) => {
                let token = file.read(&self.cluster, &self.notices).await?;
                match self.active() {
                    Some(active) if active.token == token && !is_dead => Ok(active),
                    Some(active) if active.token == token => Err(VaultError::TokenInvalid {
                        advice: format!("{} still holds it; put a new one there", file.path()),
                    }),
                    _ => Ok(self.activate(token, None)),
                }
            }
            TokenSource::Login(method) => {
                if is_dead {
                    // If the login fails, the next request must not begin with a dead token.
                    self.state().active = None;
                }
                let granted = method.login(&self.cluster, &self.notices).await?;
                Ok(self.activate(granted.token, Some(granted.lease)))
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

    fn record(&self, generation: u64, verdict: Verdict) {
        self.state().verdict = Some((generation, verdict));
    }

    fn activate(&self, token: Token, lease: Option<Lease>) -> ActiveToken {
        let active = {
            let mut state = self.state();
            state.generation += 1;
            let active = ActiveToken { token, generation: state.generation, lease };
            state.active = Some(active.clone());
            // What was found out is about a token before.
            state.verdict = None;
            active
        };
        self.generation.send_replace(active.generation);
        active
    }

    fn active(&self) -> Option<ActiveToken> {
        self.state().active.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl TokenSource {
    /// What to do about a token that the module cannot replace by itself.
    pub fn advice(&self) -> String {
        match self {
            Self::File(file) => format!("put a new one into {}", file.path()),
            Self::Static(_) | Self::Login(_) => {
                "put a new one into vault_token (or VAULT_TOKEN) and restart Synapse".to_owned()
            }
        }
    }
}

fn no_token() -> VaultError {
    VaultError::Unexpected("the module could not get a Vault token".to_owned())
}
