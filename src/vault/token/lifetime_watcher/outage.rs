//! A time in which the module has no token that Vault accepts.

use std::time::Duration;

use tokio::time::sleep;

use crate::notice::{Notices, Throttle};
use crate::retry::Backoff;
use crate::vault::VaultError;

/// The waits between requests that fail, from the first, doubling up to the second.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A time in which the module has no token that Vault accepts. Its cause is logged once, and its
/// end.
pub struct TokenOutage {
    /// Whether the last attempt to get a token failed.
    pub is_going_on: bool,
    throttle: Throttle,
    backoff: Backoff,
}

impl TokenOutage {
    /// No outage.
    pub fn new() -> Self {
        Self { is_going_on: false, throttle: Throttle::once(), backoff: backoff() }
    }

    /// Logs the error, unless the one before was the same, and waits before the next attempt.
    pub async fn wait_after(&mut self, error: &VaultError, notices: &Notices) {
        self.is_going_on = true;
        // The addresses of a cluster take turns in being the one that does not answer, so all of
        // these errors count as the same.
        let wrong = if error.is_transient() { String::new() } else { error.to_string() };
        self.throttle.say(Some(wrong), |_| {
            notices.error(format!("The module has no Vault token to work with: {error}"));
        });
        let retry_after = error.retry_after().unwrap_or_default();
        sleep(self.backoff.next_wait().max(retry_after)).await;
    }

    /// Vault has accepted the token.
    pub fn end(&mut self, notices: &Notices) {
        if self.is_going_on {
            notices.info("Vault accepts the module's token again");
            *self = Self::new();
        }
    }
}

/// The waits between attempts, for what may work a moment later.
pub fn backoff() -> Backoff {
    Backoff::new(SHORTEST_WAIT, LONGEST_WAIT)
}
