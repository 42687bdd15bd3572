//! Watches the tokens of an auth method. They are renewed for as long as that is worth it, and
//! replaced by another login before they end.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;

use super::super::active::ActiveToken;
use super::super::lease::Renewal;
use super::super::manager::TokenManager;
use super::super::source::TokenSource;
use super::outage::TokenOutage;
use super::renewal::{renew, wait_for_renewal};

/// A token is replaced once a renewal grants less than this part of what the login granted: the
/// token nears its maximum lifetime then.
const WORTH_RENEWING: f64 = 2.0 / 3.0;

/// Logs in, and again before each token's end, for as long as the process runs.
pub async fn watch(manager: &Arc<TokenManager>) {
    let mut outage = TokenOutage::new();
    let mut identity_changes = match manager.source() {
        TokenSource::Login(method) if method.is_bound_to_client_certificate() => {
            manager.cluster().identity_changes()
        }
        _ => None,
    };
    let mut ending = None;
    loop {
        let obtained = match &ending {
            Some(ending) => manager.replace(ending).await,
            None => manager.token().await,
        };
        match obtained {
            Ok(active) => {
                outage.end(manager.notices());
                manager.set_accepted();
                ending = watch_token(manager, active, &mut identity_changes).await;
            }
            Err(error) => outage.wait_after(&error, manager.notices()).await,
        }
    }
}

/// Stays with one token. Returns it when it is to be replaced, or `None` when it has been.
async fn watch_token(
    manager: &TokenManager,
    active: ActiveToken,
    identity_changes: &mut Option<watch::Receiver<u64>>,
) -> Option<ActiveToken> {
    tokio::select! {
        () = changed(identity_changes) => Some(active),
        () = renew_until_expiry(manager, &active) => Some(active),
        () = manager.replaced(&active) => None,
    }
}

/// Returns when there is another client certificate than the one that the token was granted to.
/// Vault renews a token of the method cert only for the certificate that logged in:
/// <https://developer.hashicorp.com/vault/docs/auth/cert>.
async fn changed(identity_changes: &mut Option<watch::Receiver<u64>>) {
    let Some(changes) = identity_changes else { return pending().await };
    // The sender lives as long as the connections do.
    let _ = changes.changed().await;
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
