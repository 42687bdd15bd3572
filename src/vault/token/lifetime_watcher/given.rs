//! Watches a token that others provide, in the configuration or in a file. It is renewed. If that
//! cannot be done, its end is announced.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::lease::{self, Lease, Lookup};
use super::super::manager::{ActiveToken, TokenManager, TokenSource};
use super::outage::TokenOutage;
use super::renewal::{renew, wait_for_renewal};
use crate::vault::VaultError;

/// A token can no longer be renewed once a renewal puts its end off by less than this part of its
/// lifetime.
const WORTH_RENEWING: f64 = 0.1;

/// How long before its end a token that cannot be renewed is announced, and how often from then on.
const ANNOUNCED_BEFORE: Duration = Duration::from_secs(24 * 3600);
const ANNOUNCED_EVERY: Duration = Duration::from_secs(3600);

/// The part of its lifetime that a token has left at most when it is announced, if Vault refuses to
/// renew it. Somebody else may be about to renew it.
const LAST_PART: f64 = 0.1;

/// A token with less time left than this counts as ended: Vault tells whole seconds.
const JUST_ENDED: Duration = Duration::from_secs(1);

/// How much later a token must end to count as renewed: Vault tells whole seconds, rounded either
/// way.
const JUST_RENEWED: Duration = Duration::from_secs(2);

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
    let lease = match active.lease {
        Some(lease) if !had_ended && !outage.is_going_on => Some(lease),
        // Vault has told nothing yet, or Vault was away, or somebody else may have renewed it.
        _ => look_up(manager, &active).await?,
    };
    if let Some(lease) = lease
        && lease.left().is_some_and(|left| left < JUST_ENDED)
        && (had_ended || !lease.renewable)
    {
        // For a moment Vault still answers for a token that has ended.
        return Err(VaultError::TokenInvalid { advice: manager.source().advice() });
    }
    outage.end(manager.notices());
    tokio::select! {
        result = renew_until_expiry(manager, &active, lease) => result,
        error = watch_file(manager) => Err(error),
        () = manager.replaced(&active) => Ok(()),
    }
}

/// The lease of the token; `None` if it is alive and no policy lets it look itself up.
async fn look_up(
    manager: &Arc<TokenManager>,
    active: &ActiveToken,
) -> Result<Option<Lease>, VaultError> {
    match lease::look_up(manager.cluster(), &active.token).await? {
        Lookup::Alive(lease) => {
            manager.learn(active.generation, lease);
            Ok(Some(lease))
        }
        Lookup::Forbidden => {
            if manager.after_forbidden(active).await?.is_none() {
                manager.notices().info(
                    "No policy lets the module's Vault token look itself up, \
                     so it is not renewed and its end is not announced",
                );
            }
            // If there is another one by now, the wait for it is over at once.
            Ok(None)
        }
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

/// Renews the token, and announces its end once that does no more good. Returns when it has ended.
async fn renew_until_expiry(
    manager: &TokenManager,
    active: &ActiveToken,
    lease: Option<Lease>,
) -> Result<(), VaultError> {
    let Some((lease, mut end)) = lease.and_then(|lease| Some((lease, lease.end?))) else {
        // It has no end, or none that it may ask for.
        return pending().await;
    };
    let lifetime = lease.ttl;
    let mut announced_before = ANNOUNCED_BEFORE;
    let mut is_renewable = lease.renewable;
    while is_renewable {
        wait_for_renewal(end).await;
        let Some(lease) = renew(manager, active, end).await? else {
            announced_before = ANNOUNCED_BEFORE.min(lifetime.mul_f64(LAST_PART));
            break;
        };
        let Some(new_end) = lease.end else { return pending().await };
        let is_worth = new_end.saturating_duration_since(end) >= lifetime.mul_f64(WORTH_RENEWING);
        (is_renewable, end) = (lease.renewable && is_worth, new_end);
    }
    announce_end(manager, active, end, announced_before).await;
    Ok(())
}

/// Says in time that the token will end. Returns when it has ended, or when somebody else has renewed
/// it.
async fn announce_end(
    manager: &TokenManager,
    active: &ActiveToken,
    end: Instant,
    announced_before: Duration,
) {
    let left = || end.saturating_duration_since(Instant::now());
    let advice = manager.source().advice();
    let text = |left: Duration| {
        format!(
            "The module's Vault token ends in {} and cannot be renewed: {advice}",
            humantime::format_duration(Duration::from_secs(left.as_secs()))
        )
    };
    sleep(left().saturating_sub(announced_before)).await;
    let mut is_announced = false;
    while !left().is_zero() && !is_put_off(manager, active, end).await {
        let left = left();
        match is_announced {
            _ if left < JUST_ENDED => {}
            false => manager.notices().warning(text(left)),
            true => manager.notices().error(text(left)),
        }
        is_announced = true;
        sleep(ANNOUNCED_EVERY.min(left)).await;
    }
}

/// Whether somebody else has renewed the token, so that it ends later than `end` or never.
async fn is_put_off(manager: &TokenManager, active: &ActiveToken, end: Instant) -> bool {
    match lease::look_up(manager.cluster(), &active.token).await {
        Ok(Lookup::Alive(lease)) if lease.end.is_none_or(|now| now > end + JUST_RENEWED) => {
            manager.learn(active.generation, lease);
            true
        }
        // What cannot be found out now is found out when the token has ended.
        _ => false,
    }
}
