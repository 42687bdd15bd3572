//! The token in use: where it comes from, and what replaces it when it is dead.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::active::ActiveToken;
use super::identity::Identity;
use super::lease::{self, Lease, Lookup, TokenExpiry};
use super::source::TokenSource;
use crate::notice::Notices;
use crate::sync::Mutex;
use crate::vault::cluster::Cluster;
use crate::vault::mounts::{self, Mounted};
use crate::vault::transport::RequestHeaders;
use crate::vault::{Mount, Token, VaultError};

/// How often a token is replaced that has got nothing but 403.
///
/// If a policy forbids a living token even to look itself up, it looks like a dead one. Without
/// this limit every login of a user would then log in to Vault.
const REFUSED_REPLACED_EVERY: Duration = Duration::from_secs(30);

/// For this long a refused login is not tried again, and everybody gets the same refusal. Vault
/// locks out whoever logs in again and again with a wrong password.
const LOGIN_REFUSED_FOR: Duration = Duration::from_secs(5);

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
    is_accepted: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    active: Option<ActiveToken>,
    /// Whose token it is, as far as Vault has told.
    identity: Identity,
    /// The number of tokens that there have been.
    generation: u64,
    /// What was last found out about the token of this generation.
    verdict: Option<(u64, Verdict)>,
    /// When a token was last replaced that had got nothing but 403.
    refused_replaced: Option<Instant>,
}

/// What was found out about a token.
enum Verdict {
    /// It is alive, by a check that began at this time. So a 403 comes from a policy.
    Alive(Instant),
    /// It looks dead and is not replaced, as the token that was replaced at this time looked dead
    /// from the beginning as well.
    ReplacementRefused(Instant),
    /// No other token could be obtained, by an attempt that began at this time.
    NotReplaced(Instant, VaultError),
}

/// What a 403 comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForbiddenBy {
    /// The token is alive, and no policy of it allows the request.
    Policy,
    /// The token was dead. By now there is another one to try with.
    DeadToken,
}

/// Why a token is asked for.
enum TokenRequestReason {
    /// There is none yet, or the file may hold another one.
    Any,
    /// This one was answered with a 403, when it looked itself up or with another request.
    InsteadOfForbidden { former: ActiveToken, is_looked_up: bool },
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
            is_accepted: watch::Sender::new(false),
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

    /// The token in use. Obtains one if there is none.
    ///
    /// # Errors
    /// Why there is none to be had.
    pub async fn token(self: &Arc<Self>) -> Result<ActiveToken, VaultError> {
        let may_have_changed = match &self.source {
            TokenSource::File(file) => file.is_to_be_checked(),
            TokenSource::Static(_) | TokenSource::Login(_) | TokenSource::Proxy => false,
        };
        match self.active().filter(|_| !may_have_changed) {
            Some(active) => Ok(active),
            None => self.obtained(TokenRequestReason::Any).await,
        }
    }

    /// The token for one request. Obtains one if there is none that is good for another request.
    ///
    /// # Errors
    /// Why there is none to be had.
    pub async fn token_for_request(self: &Arc<Self>) -> Result<ActiveToken, VaultError> {
        loop {
            let active = self.token().await?;
            if active.take_use() {
                return Ok(active);
            }
            self.discard(&active);
        }
    }

    /// What a 403 comes from that came for this token.
    ///
    /// The texts for a dead token and for a policy that refuses are no contract. So the token is
    /// checked: a living one may look itself up, or at least read something in the mount.
    ///
    /// # Errors
    /// [`VaultError::TokenInvalid`] when the token is dead and there is no other,
    /// [`VaultError::TokenRefused`] when tokens get nothing but 403, or what keeps us from checking
    /// the token or from obtaining another one.
    pub async fn after_forbidden(
        self: &Arc<Self>,
        forbidden: &ActiveToken,
    ) -> Result<ForbiddenBy, VaultError> {
        self.forbidden_by(forbidden, false).await
    }

    /// The same after a 403 for the look-up of the token itself.
    ///
    /// # Errors
    /// Those of [`after_forbidden`](Self::after_forbidden).
    pub async fn after_forbidden_lookup(
        self: &Arc<Self>,
        forbidden: &ActiveToken,
    ) -> Result<ForbiddenBy, VaultError> {
        self.forbidden_by(forbidden, true).await
    }

    /// Logs in again. Until that works, the token that nears its end stays in use.
    ///
    /// # Errors
    /// Those of the login.
    pub async fn replace(
        self: &Arc<Self>,
        ending: &ActiveToken,
    ) -> Result<ActiveToken, VaultError> {
        self.obtained(TokenRequestReason::InsteadOfEnding(ending.clone())).await
    }

    /// The headers of a request about the token itself.
    pub fn headers<'a>(&'a self, active: &'a ActiveToken) -> RequestHeaders<'a> {
        match &self.source {
            TokenSource::Login(method) => method.headers(active.token.as_ref()),
            TokenSource::Static(_) | TokenSource::File(_) | TokenSource::Proxy => active.headers(),
        }
    }

    /// Keeps the lease that a renewal or a look-up told, if the token is still in use.
    pub fn learn(&self, generation: u64, lease: Lease) {
        if let Some(active) = &mut self.state().active
            && active.generation == generation
        {
            active.lease = Some(lease);
        }
    }

    /// Keeps whose token it is, if it is still in use.
    pub fn identify(&self, generation: u64, identity: Identity) {
        let mut state = self.state();
        if state.active.as_ref().is_some_and(|active| active.generation == generation) {
            state.identity = identity;
        }
    }

    /// Keeps that Vault has accepted a token.
    pub fn set_accepted(&self) {
        self.is_accepted.send_replace(true);
    }

    /// Returns once Vault has accepted a token, as far as that can be known: that of a proxy counts
    /// as accepted from the start.
    pub async fn accepted(&self) {
        // The sender lives as long as `self`.
        let _ = self.is_accepted.subscribe().wait_for(|is_accepted| *is_accepted).await;
    }

    /// What the token in use is, for the log: whose, and when it ends.
    pub fn description(&self) -> String {
        let state = self.state();
        let (identity, lease) = (&state.identity, state.active.as_ref().and_then(|one| one.lease));
        let Some(lease) = lease else {
            return match self.source {
                TokenSource::Proxy => "is the proxy's own".to_owned(),
                _ => "may not look itself up, so its end is not known".to_owned(),
            };
        };
        let end = match lease.wall_clock_end() {
            TokenExpiry::Never => "has no end".to_owned(),
            TokenExpiry::At(time) => {
                let care = match self.source {
                    TokenSource::Login(_) => ", and is renewed or replaced before",
                    _ if lease.renewable => ", and is renewed before",
                    _ => ", and cannot be renewed",
                };
                format!("ends at {}{care}", humantime::format_rfc3339_seconds(time))
            }
        };
        if identity.is_unknown() { end } else { format!("is {identity}, and {end}") }
    }

    /// Stops using a token that is good for no request any more.
    fn discard(&self, spent: &ActiveToken) {
        let mut state = self.state();
        if state.active.as_ref().is_some_and(|active| active.generation == spent.generation) {
            state.active = None;
        }
    }

    async fn forbidden_by(
        self: &Arc<Self>,
        forbidden: &ActiveToken,
        is_looked_up: bool,
    ) -> Result<ForbiddenBy, VaultError> {
        let former = forbidden.clone();
        let reason = TokenRequestReason::InsteadOfForbidden { former, is_looked_up };
        Ok(match self.get(reason).await? {
            Some(_) => ForbiddenBy::DeadToken,
            None => ForbiddenBy::Policy,
        })
    }

    async fn obtained(
        self: &Arc<Self>,
        reason: TokenRequestReason,
    ) -> Result<ActiveToken, VaultError> {
        self.get(reason).await?.ok_or_else(no_token)
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
        if let TokenRequestReason::InsteadOfForbidden { former, is_looked_up } = &reason {
            let started = Instant::now();
            if self.is_alive(former, *is_looked_up).await? {
                former.set_worked();
                self.record(former.generation, Verdict::Alive(started));
                return Ok(None);
            }
            self.check_is_replaced(former)?;
        }
        let started = Instant::now();
        let obtained = self.obtain(&reason).await;
        if let Err(error) = &obtained
            // This token stays in use until it has ended.
            && !matches!(reason, TokenRequestReason::InsteadOfEnding(_))
        {
            let generation = self.state().generation;
            self.record(generation, Verdict::NotReplaced(started, error.clone()));
        }
        obtained.map(Some)
    }

    /// Fails for a token that looks dead, has got nothing but 403, and came in place of such a one
    /// a short while ago.
    fn check_is_replaced(&self, former: &ActiveToken) -> Result<(), VaultError> {
        let is_login = matches!(self.source, TokenSource::Login(_));
        if !is_login || former.has_worked() {
            return Ok(());
        }
        let mut state = self.state();
        match state.refused_replaced {
            Some(since) if since.elapsed() < REFUSED_REPLACED_EVERY => {
                state.verdict = Some((former.generation, Verdict::ReplacementRefused(since)));
                Err(self.source.refused())
            }
            _ => {
                state.refused_replaced = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// Whether somebody else has already obtained what is asked for.
    fn is_newer(&self, active: &ActiveToken, reason: &TokenRequestReason) -> bool {
        match reason {
            // The file may hold another token than the one in use.
            TokenRequestReason::Any => !matches!(self.source, TokenSource::File(_)),
            TokenRequestReason::InsteadOfForbidden { former, .. }
            | TokenRequestReason::InsteadOfEnding(former) => active.generation != former.generation,
        }
    }

    /// What was found out so recently that Vault is not asked again: that the token stays in use,
    /// or why there is no other one.
    fn known(&self, reason: &TokenRequestReason, asked: Instant) -> Option<Result<(), VaultError>> {
        let state = self.state();
        let (generation, verdict) = state.verdict.as_ref()?;
        let is_forbidden = match reason {
            TokenRequestReason::InsteadOfForbidden { former, .. } => {
                former.generation == *generation
            }
            TokenRequestReason::Any | TokenRequestReason::InsteadOfEnding(_) => false,
        };
        match verdict {
            Verdict::Alive(since) if is_forbidden && *since >= asked => Some(Ok(())),
            Verdict::ReplacementRefused(since)
                if is_forbidden && since.elapsed() < REFUSED_REPLACED_EVERY =>
            {
                Some(Err(self.source.refused()))
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
        let dead = match reason {
            TokenRequestReason::InsteadOfForbidden { former, .. } => Some(former),
            TokenRequestReason::Any | TokenRequestReason::InsteadOfEnding(_) => None,
        };
        match (&self.source, dead) {
            (TokenSource::Static(_) | TokenSource::Proxy, Some(dead)) => {
                Err(self.source.invalid(dead))
            }
            (TokenSource::Static(token), None) => Ok(self.activate(Some(token), None, None)),
            (TokenSource::Proxy, None) => Ok(self.activate(None, None, None)),
            (TokenSource::File(file), dead) => {
                let token = file.read(&self.cluster, &self.notices).await?;
                match (self.active(), dead) {
                    (Some(active), None) if active.token.as_ref() == Some(&token) => Ok(active),
                    (_, Some(dead)) if dead.token.as_ref() == Some(&token) => {
                        Err(self.source.invalid(dead))
                    }
                    _ => Ok(self.activate(Some(&token), None, None)),
                }
            }
            (TokenSource::Login(method), dead) => {
                if dead.is_some() {
                    // If the login fails, the next request must not begin with a dead token.
                    self.state().active = None;
                }
                let granted = method.login(&self.cluster, &self.notices).await?;
                let active = self.activate(Some(&granted.token), Some(granted.lease), granted.uses);
                self.identify(active.generation, granted.identity);
                Ok(active)
            }
        }
    }

    /// Whether Vault knows the token.
    async fn is_alive(&self, active: &ActiveToken, is_looked_up: bool) -> Result<bool, VaultError> {
        // A proxy may answer a look-up from its cache.
        if active.token.is_some()
            && !is_looked_up
            && let Lookup::Alive(..) = lease::look_up(&self.cluster, self.headers(active)).await?
        {
            return Ok(true);
        }
        let request = mounts::request(&self.mount.to_string());
        let answer = self.cluster.send(&request, active.headers()).await?;
        Ok(!matches!(mounts::parse_response(&self.mount, &answer)?, Mounted::Unknown))
    }

    fn record(&self, generation: u64, verdict: Verdict) {
        self.state().verdict = Some((generation, verdict));
    }

    fn activate(
        &self,
        token: Option<&Token>,
        lease: Option<Lease>,
        uses: Option<u64>,
    ) -> ActiveToken {
        let active = {
            let mut state = self.state();
            state.generation += 1;
            let active = ActiveToken::new(token.cloned(), state.generation, lease, uses);
            state.active = Some(active.clone());
            state.identity = Identity::default();
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

fn no_token() -> VaultError {
    VaultError::Unexpected("the module could not get a Vault token".to_owned())
}
