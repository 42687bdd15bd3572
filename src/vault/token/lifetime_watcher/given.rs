//! Watches a token that others provide, in the configuration or in a file. It is renewed. If that
//! cannot be done, its end is announced.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::active::ActiveToken;
use super::super::identity::Identity;
use super::super::lease::{self, Lease, Lookup, Refusal, Renewal};
use super::super::manager::{ForbiddenBy, TokenManager};
use super::super::source::TokenSource;
use super::announcement::{ANNOUNCED_EVERY, Announcement, JUST_ENDED};
use super::outage::TokenOutage;
use super::renewal::{SHORTEST_WAIT, renew, wait_for_renewal};
use crate::retry::Backoff;
use crate::vault::VaultError;

/// A token can no longer be renewed once a renewal puts its end off by less than this part of its
/// lifetime.
const WORTH_RENEWING: f64 = 0.1;

/// How long before its end a token that cannot be renewed is announced.
const ANNOUNCED_BEFORE: Duration = Duration::from_secs(24 * 3600);

/// The part of its lifetime that a token has left at most when it is announced, if Vault refuses to
/// renew it. Later renewals may work, and somebody else may renew it.
const LAST_PART: f64 = 0.1;

/// The waits after a refusal: the first, and the longest before another renewal and before another
/// look-up. Nobody waits for them, so they have little jitter.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT_FOR_RENEWAL: Duration = Duration::from_secs(300);
const LONGEST_WAIT_FOR_LOOKUP: Duration = Duration::from_secs(3600);
const JITTER: f64 = 0.1;

/// The part of the time left that is waited at most before another renewal.
const PART_OF_TIME_LEFT: f64 = 0.1;

/// How often a token file is looked at while no login does.
const FILE_CHECKED_EVERY: Duration = Duration::from_secs(10);

/// Looks the token up and renews it, or announces its end, for as long as the process runs.
pub async fn watch(manager: &Arc<TokenManager>) {
    let mut outage = TokenOutage::new();
    loop {
        if let Err(error) = watch_token(manager, &mut outage).await {
            outage.wait_after(&error, manager.notices()).await;
        }
    }
}

/// Stays with one token until it has ended, or there is another one.
async fn watch_token(
    manager: &Arc<TokenManager>,
    outage: &mut TokenOutage,
) -> Result<(), VaultError> {
    let active = manager.token().await?;
    let had_ended = active.lease.is_some_and(|lease| lease.left() == Some(Duration::ZERO));
    let lookup = match active.lease {
        Some(lease) if !had_ended && !outage.is_going_on => {
            Lookup::Alive(lease, Identity::default())
        }
        // Vault has told nothing yet, or Vault was away, or somebody else may have renewed it.
        _ => look_up(manager, &active).await?,
    };
    if let Lookup::Alive(lease, _) = &lookup
        && lease.left().is_some_and(|left| left < JUST_ENDED)
        && (had_ended || !lease.renewable)
    {
        // For a moment Vault still answers for a token that has ended.
        return Err(manager.source().invalid(&active));
    }
    outage.end(manager.notices());
    manager.set_accepted();
    let stay = async {
        let lease = match lookup {
            Lookup::Alive(lease, _) => lease,
            Lookup::Refused(refusal) => {
                manager.notices().info(format!(
                    "The module's Vault token cannot look itself up: {}. Until it can, the token \
                     is not renewed and its end is not announced",
                    refusal.text
                ));
                wait_for_lease(manager, &active, refusal.retry_after).await?
            }
        };
        renew_until_expiry(manager, &active, lease).await
    };
    tokio::select! {
        result = stay => result,
        error = watch_file(manager) => Err(error),
        () = manager.replaced(&active) => Ok(()),
    }
}

/// Looks the token up. A refusal is for a token that is alive, as far as is known.
async fn look_up(manager: &Arc<TokenManager>, active: &ActiveToken) -> Result<Lookup, VaultError> {
    let lookup = lease::look_up(manager.cluster(), manager.headers(active)).await?;
    match &lookup {
        Lookup::Alive(lease, identity) => {
            active.set_worked();
            manager.learn(active.generation, *lease);
            manager.identify(active.generation, identity.clone());
        }
        Lookup::Refused(refusal) if refusal.status == Some(403) => {
            if manager.after_forbidden_lookup(active).await? == ForbiddenBy::DeadToken {
                // There is another one by now, so the wait for it is over at once.
                return Ok(lookup);
            }
        }
        Lookup::Refused(_) => {}
    }
    Ok(lookup)
}

/// Looks the token up again and again, until Vault lets it.
async fn wait_for_lease(
    manager: &Arc<TokenManager>,
    active: &ActiveToken,
    retry_after: Option<Duration>,
) -> Result<Lease, VaultError> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT_FOR_LOOKUP).with_jitter(JITTER);
    let mut retry_after = retry_after.unwrap_or_default();
    loop {
        sleep(backoff.next_wait().max(retry_after)).await;
        retry_after = match look_up(manager, active).await {
            Ok(Lookup::Alive(lease, _)) => {
                manager.notices().info("The module's Vault token can look itself up now");
                return Ok(lease);
            }
            Ok(Lookup::Refused(refusal)) => refusal.retry_after.unwrap_or_default(),
            Err(error @ (VaultError::TokenInvalid { .. } | VaultError::TokenRefused { .. })) => {
                return Err(error);
            }
            Err(error) => error.retry_after().unwrap_or_default(),
        };
    }
}

/// Looks whether a token file has changed. Returns when it holds no token that works.
async fn watch_file(manager: &Arc<TokenManager>) -> VaultError {
    if !matches!(manager.source(), TokenSource::File(_)) {
        return pending().await;
    }
    loop {
        sleep(FILE_CHECKED_EVERY).await;
        if let Err(error) = manager.token().await {
            return error;
        }
    }
}

/// Renews the token, and announces its end once its lease says that this does no more good. Returns
/// when it has ended, or when somebody else has renewed it.
async fn renew_until_expiry(
    manager: &TokenManager,
    active: &ActiveToken,
    lease: Lease,
) -> Result<(), VaultError> {
    let Some(mut end) = lease.end else { return pending().await };
    let mut announcement = Announcement::new(manager, active);
    let mut is_renewable = lease.renewable;
    while is_renewable {
        wait_for_renewal(end).await;
        let renewed = match renew(manager, active, end).await? {
            Renewal::Renewed(renewed) => renewed,
            Renewal::Refused(refusal) => {
                manager.notices().warning(format!(
                    "The module's Vault token was not renewed: {}. The module goes on trying",
                    refusal.text
                ));
                let renewed =
                    renew_again(manager, active, lease.ttl, end, refusal, &mut announcement)
                        .await?;
                let Some(renewed) = renewed else { return Ok(()) };
                manager.notices().info("The module's Vault token is renewed again");
                renewed
            }
        };
        let Some(new_end) = renewed.end else { return pending().await };
        let put_off = new_end.saturating_duration_since(end);
        is_renewable = renewed.renewable && put_off >= lease.ttl.mul_f64(WORTH_RENEWING);
        end = new_end;
    }
    let left = || end.saturating_duration_since(Instant::now());
    sleep(left().saturating_sub(ANNOUNCED_BEFORE)).await;
    while !left().is_zero() && !announcement.repeat(end).await {
        sleep(ANNOUNCED_EVERY.min(left())).await;
    }
    Ok(())
}

/// Renews a token that Vault has just refused to renew, as soon as Vault does it. Announces its end
/// in the meantime. `None` when it has ended, or when somebody else has renewed it.
async fn renew_again(
    manager: &TokenManager,
    active: &ActiveToken,
    lifetime: Duration,
    end: Instant,
    mut refusal: Refusal,
    announcement: &mut Announcement<'_>,
) -> Result<Option<Lease>, VaultError> {
    let announced_before = ANNOUNCED_BEFORE.min(lifetime.mul_f64(LAST_PART));
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT_FOR_RENEWAL).with_jitter(JITTER);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || (left <= announced_before && announcement.repeat(end).await) {
            return Ok(None);
        }
        let wait = backoff.next_wait().min(left.mul_f64(PART_OF_TIME_LEFT)).max(SHORTEST_WAIT);
        sleep(wait.max(refusal.retry_after.unwrap_or_default()).min(left)).await;
        refusal = match renew(manager, active, end).await? {
            Renewal::Renewed(lease) => return Ok(Some(lease)),
            Renewal::Refused(refusal) => refusal,
        };
    }
}
