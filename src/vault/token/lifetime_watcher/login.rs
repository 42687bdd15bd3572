//! Watches the tokens of an auth method. They are renewed for as long as that is worth it, and
//! replaced by another login before they end.

use std::future::pending;
use std::sync::Arc;

use super::super::lease::Renewal;
use super::super::manager::{ActiveToken, TokenManager};
use super::outage::TokenOutage;
use super::renewal::{renew, wait_for_renewal};

/// A token is replaced once a renewal grants less than this part of what the login granted: the
/// token nears its maximum lifetime then.
const WORTH_RENEWING: f64 = 2.0 / 3.0;

/// Logs in, and again before each token's end, for as long as the process runs.
pub async fn watch(manager: &Arc<TokenManager>) {
    let mut outage = TokenOutage::new();
    let mut ending = None;
    loop {
        let obtained = match &ending {
            Some(ending) => manager.replace(ending).await,
            None => manager.token().await,
        };
        match obtained {
            Ok(active) => {
                outage.end(manager.notices());
                ending = watch_token(manager, active).await;
            }
            Err(error) => outage.wait_after(&error, manager.notices()).await,
        }
    }
}

/// Stays with one token. Returns it when it is to be replaced, or `None` when it has been.
async fn watch_token(manager: &TokenManager, active: ActiveToken) -> Option<ActiveToken> {
    tokio::select! {
        () = renew_until_expiry(manager, &active) => Some(active),
        () = manager.replaced(&active) => None,
    }
}

/// Renews the token. Returns in time before it ends.
async fn renew_until_expiry(manager: &TokenManager, active: &ActiveToken) {
    let Some((lease, mut end)) = active.lease.and_then(|lease| Some((lease, lease.end?))) else {
        return pending().await;
    };
    let granted = lease.ttl;
    // A renewal is one of the requests that a token with limited uses is good for.
    let mut is_renewable = lease.renewable && !active.has_limited_uses();
    while is_renewable {
        wait_for_renewal(end).await;
        let lease = match renew(manager, active, end).await {
            Ok(Renewal::Renewed(lease)) => lease,
            Ok(Renewal::Refused(_)) => break,
            Err(_) => return,
        };
        let Some(new_end) = lease.end else { return pending().await };
        if lease.ttl < granted.mul_f64(WORTH_RENEWING) {
            return;
        }
        (is_renewable, end) = (lease.renewable, new_end);
    }
    wait_for_renewal(end).await;
}
