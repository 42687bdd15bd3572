//! How and when a token is renewed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::active::ActiveToken;
use super::super::lease::{self, Refusal, Renewal};
use super::super::manager::TokenManager;
use super::outage::backoff;
use crate::vault::VaultError;

/// The part of its lifetime after which a token is renewed, less up to a tenth of jitter.
const RENEWED_AFTER: f64 = 2.0 / 3.0;

/// The shortest wait for a renewal.
pub const SHORTEST_WAIT: Duration = Duration::from_millis(500);

/// Renews the token. Errors that may pass within seconds are waited out until `end`.
pub async fn renew(
    manager: &TokenManager,
    active: &ActiveToken,
    end: Instant,
) -> Result<Renewal, VaultError> {
    let mut backoff = backoff();
    loop {
        let error = match lease::renew(manager.cluster(), manager.headers(active)).await {
            Ok(renewal) => {
                if let Renewal::Renewed(lease) = &renewal {
                    active.set_worked();
                    manager.learn(active.generation, *lease);
                }
                return Ok(renewal);
            }
            Err(error) => error,
        };
        if let Some(refusal) = Refusal::of_error(&error) {
            return Ok(Renewal::Refused(refusal));
        }
        let wait = backoff.next_wait().max(error.retry_after().unwrap_or_default());
        if Instant::now() + wait >= end {
            return Err(error);
        }
        sleep(wait).await;
    }
}

/// Waits with a renewal for about two thirds of the time that is left. The jitter keeps the
/// processes of a fleet from renewing at once.
pub async fn wait_for_renewal(end: Instant) {
    let left = end.saturating_duration_since(Instant::now());
    let part = RENEWED_AFTER * (1.0 - 0.1 * fastrand::f64());
    sleep(left.mul_f64(part).max(SHORTEST_WAIT)).await;
}
