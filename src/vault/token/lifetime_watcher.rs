//! What keeps a token alive, or says in time that it will end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::lease::{self, Lease, Lookup};
use super::manager::{ActiveToken, TokenManager, TokenSource};
use crate::vault::VaultError;

/// Which part of a token's time passes before it is renewed, less up to a tenth of jitter.
const RENEWED_AFTER: f64 = 2.0 / 3.0;

/// A login's token is replaced once a renewal grants less than this part of what the login did:
/// it nears its maximum.
const WORTH_RENEWING: f64 = 2.0 / 3.0;

/// Another one cannot be renewed any more once a renewal puts its end off by less than this part.
const WORTH_COUNTING: f64 = 0.1;

/// Waits between tries while Vault is away: from the first, doubling up to the second.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long before its end a token that cannot be renewed is announced, and how often from then on.
const ANNOUNCED_BEFORE: Duration = Duration::from_secs(24 * 3600);
const ANNOUNCED_EVERY: Duration = Duration::from_secs(3600);

/// Which part of its time a token has left when it is announced at the latest, if it can be renewed
/// but not by itself.
const LAST_PART: f64 = 0.1;

/// A token with less time left than this has ended.
const JUST_ENDED: Duration = Duration::from_secs(1);

/// How much later a token must end to have been renewed: Vault tells whole seconds, rounded either
/// way.
const JUST_RENEWED: Duration = Duration::from_secs(2);

/// How often a token file is looked at while no login does.
const FILE_CHECKED_EVERY: Duration = Duration::from_secs(10);

/// What to do once a token was tended.
enum Next {
    /// Go on with the token in use, which is another one by now.
    Continue,
    /// Log in anew: this token nears its end.
    Replace,
}

/// Looks the token up, renews it, and gets another one in time, for as long as the process lives.
pub async fn watch(identity: Arc<TokenManager>) {
    let mut trouble = TokenOutage { last: None, wait: SHORTEST_WAIT };
    let mut ending: Option<ActiveToken> = None;
    loop {
        match watch_token(&identity, ending.as_ref(), &mut trouble).await {
            Ok((_, Next::Continue)) => ending = None,
            Ok((held, Next::Replace)) => ending = Some(held),
            Err(error) => trouble.wait_out(&identity, error).await,
        }
    }
}

/// One token, from getting it to its end.
async fn watch_token(
    identity: &Arc<TokenManager>,
    ending: Option<&ActiveToken>,
    trouble: &mut TokenOutage,
) -> Result<(ActiveToken, Next), VaultError> {
    let held = match ending {
        Some(ending) => identity.replace(ending).await?,
        None => identity.token().await?,
    };
    let is_login = matches!(identity.source(), TokenSource::Login(_));
    let was_over =
        !is_login && held.lease.is_some_and(|lease| lease.left() == Some(Duration::ZERO));
    let is_doubtful = was_over || (!is_login && trouble.last.is_some());
    let lease = match held.lease.filter(|_| !is_doubtful) {
        Some(lease) => Some(lease),
        // Nothing was told, somebody else may have put its end off, or Vault was away.
        None => look_up(identity, &held).await?,
    };
    let is_ending = lease.and_then(|lease| lease.left()).is_some_and(|left| left < JUST_ENDED);
    if is_ending && !is_login && (was_over || lease.is_some_and(|lease| !lease.renewable)) {
        // For a moment Vault still tells of a token that has ended.
        return Err(VaultError::TokenInvalid { advice: advice(identity) });
    }
    trouble.is_over(identity);
    let mut changes = identity.changes();
    let next = tokio::select! {
        next = renew_until_expiry(identity, &held, lease) => next?,
        error = watch_file(identity) => return Err(error),
        _ = changes.wait_for(|generation| *generation != held.generation) => Next::Continue,
    };
    Ok((held, next))
}

/// What keeps the module from having a token, said once.
struct TokenOutage {
    last: Option<VaultError>,
    wait: Duration,
}

impl TokenOutage {
    async fn wait_out(&mut self, identity: &TokenManager, error: VaultError) {
        let is_known = self.last.as_ref().is_some_and(|last| {
            // The addresses of a cluster take turns in being the one that does not answer.
            *last == error || (last.is_transient() && error.is_transient())
        });
        if !is_known {
            identity
                .notices()
                .error(format!("The module has no Vault token to work with: {error}"));
        }
        self.last = Some(error);
        sleep(self.wait).await;
        self.wait = LONGEST_WAIT.min(self.wait * 2);
    }

    fn is_over(&mut self, identity: &TokenManager) {
        self.wait = SHORTEST_WAIT;
        if self.last.take().is_some() {
            identity.notices().info("Vault accepts the module's token again");
        }
    }
}

/// How long the token lives; `None` for one that is alive and may not know.
async fn look_up(
    identity: &Arc<TokenManager>,
    held: &ActiveToken,
) -> Result<Option<Lease>, VaultError> {
    match lease::look_up(identity.cluster(), &held.token).await? {
        Lookup::Alive(lease) => {
            identity.learn(held.generation, lease);
            Ok(Some(lease))
        }
        Lookup::Forbidden => {
            if identity.after_forbidden(held).await?.is_none() {
                identity.notices().info(
                    "No policy lets the module's Vault token look itself up, \
                     so it is not renewed and its end is not announced",
                );
            }
            // If there is another one by now, the wait for it is over at once.
            Ok(None)
        }
    }
}

/// Notices that a token file has changed. Returns when it holds nothing that works.
async fn watch_file(identity: &Arc<TokenManager>) -> VaultError {
    if !matches!(identity.source(), TokenSource::File(_)) {
        return std::future::pending().await;
    }
    loop {
        sleep(FILE_CHECKED_EVERY).await;
        if let Err(error) = identity.token().await {
            return error;
        }
    }
}

/// Stays with one token until it nears its end.
async fn renew_until_expiry(
    identity: &TokenManager,
    held: &ActiveToken,
    granted: Option<Lease>,
) -> Result<Next, VaultError> {
    let Some((mut lease, mut end)) = granted.and_then(|lease| Some((lease, lease.end?))) else {
        // Without an end, or with one that is not for it to know.
        return std::future::pending().await;
    };
    let first = lease.ttl;
    let mut is_refused = false;
    let is_login = matches!(identity.source(), TokenSource::Login(_));
    while lease.renewable {
        sleep(until_renewal(end)).await;
        let renewed = match renew_until(identity, held, end).await {
            Ok(Some(renewed)) => renewed,
            Ok(None) => {
                is_refused = true;
                break;
            }
            Err(_) if is_login => return Ok(Next::Replace),
            Err(error) => return Err(error),
        };
        identity.learn(held.generation, renewed);
        let Some(new_end) = renewed.end else { return std::future::pending().await };
        let put_off = new_end.saturating_duration_since(end);
        (lease, end) = (renewed, new_end);
        if is_login && lease.ttl < first.mul_f64(WORTH_RENEWING) {
            return Ok(Next::Replace);
        }
        if !is_login && put_off < first.mul_f64(WORTH_COUNTING) {
            break;
        }
    }
    if is_login {
        sleep(until_renewal(end)).await;
        return Ok(Next::Replace);
    }
    let announced_before = if is_refused {
        // Somebody else may be about to renew it.
        ANNOUNCED_BEFORE.min(lease.ttl.mul_f64(LAST_PART))
    } else {
        ANNOUNCED_BEFORE
    };
    announce_end(identity, held, end, announced_before).await;
    Ok(Next::Continue)
}

/// Renews, riding out until `end` what may pass.
async fn renew_until(
    identity: &TokenManager,
    held: &ActiveToken,
    end: Instant,
) -> Result<Option<Lease>, VaultError> {
    let mut wait = SHORTEST_WAIT;
    loop {
        match lease::renew(identity.cluster(), &held.token).await {
            Err(error) if error.is_transient() && Instant::now() + wait < end => {
                sleep(wait).await;
                wait = LONGEST_WAIT.min(wait * 2);
            }
            result => return result,
        }
    }
}

/// Says in time that a token will end which we cannot renew. Returns when it has ended, as far as is
/// known, or ends at another time, as somebody else has renewed it.
async fn announce_end(identity: &TokenManager, held: &ActiveToken, end: Instant, before: Duration) {
    let left = || end.saturating_duration_since(Instant::now());
    let advice = advice(identity);
    let text = |left: Duration| {
        format!(
            "The module's Vault token ends in {} and cannot be renewed: {advice}",
            humantime::format_duration(Duration::from_secs(left.as_secs()))
        )
    };
    sleep(left().saturating_sub(before)).await;
    let mut is_announced = false;
    while !left().is_zero() && !is_put_off(identity, held, end).await {
        let left = left();
        match is_announced {
            _ if left < JUST_ENDED => {}
            false => identity.notices().warning(text(left)),
            true => identity.notices().error(text(left)),
        }
        is_announced = true;
        sleep(ANNOUNCED_EVERY.min(left)).await;
    }
}

/// Whether somebody else has renewed the token, so that it ends later than `end` or never.
async fn is_put_off(identity: &TokenManager, held: &ActiveToken, end: Instant) -> bool {
    match lease::look_up(identity.cluster(), &held.token).await {
        Ok(Lookup::Alive(lease)) if lease.end.is_none_or(|now| now > end + JUST_RENEWED) => {
            identity.learn(held.generation, lease);
            true
        }
        // What cannot be found out now is found out when it has ended.
        _ => false,
    }
}

/// What to do about a token that we cannot replace.
fn advice(identity: &TokenManager) -> String {
    match identity.source() {
        TokenSource::File(file) => format!("put a new one into {}", file.path()),
        _ => "put a new one into vault_token (or VAULT_TOKEN) and restart Synapse".to_owned(),
    }
}

/// How long to wait with a renewal: about two thirds of the time left, not all of a fleet at once.
fn until_renewal(end: Instant) -> Duration {
    let left = end.saturating_duration_since(Instant::now());
    left.mul_f64(RENEWED_AFTER * (1.0 - 0.1 * fastrand::f64())).max(SHORTEST_WAIT)
}
