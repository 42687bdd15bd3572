//! How long one login goes on asking Vault, and how often.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, sleep};

use crate::vault::VaultError;

/// The longest wait before the second try. It doubles from try to try up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// With less time than this left another try is not worth it.
const SHORTEST_LEFT: Duration = Duration::from_millis(20);

/// How long one login goes on asking, and what it has heard so far.
pub struct Patience {
    /// When the login must have ended.
    pub deadline: Instant,
    /// Why Vault was asked again last.
    pub last_error: Option<VaultError>,
    waits: Box<dyn Iterator<Item = Duration> + Send>,
}

impl Patience {
    /// Begins now.
    pub fn new(login_timeout: Duration) -> Self {
        let deadline = Instant::now() + login_timeout;
        Self { deadline, last_error: None, waits: Box::new(full_jitter()) }
    }

    /// Waits until it is worth asking again.
    ///
    /// # Errors
    /// The same error when there is no time left for that.
    pub async fn wait_out(&mut self, error: VaultError) -> Result<(), VaultError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let hint = error.retry_after().unwrap_or_default();
        if left < SHORTEST_LEFT || left < hint {
            return Err(error);
        }
        let wait = self.waits.next().unwrap_or(LONGEST_WAIT).min(left / 2);
        self.last_error = Some(error);
        sleep(wait.max(hint)).await;
        Ok(())
    }
}

/// Exponential waits, each anywhere between nothing and its bound: clients that fail together do
/// not come back together. After
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
fn full_jitter() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(SHORTEST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .without_max_times()
        .build()
        .map(|bound| bound.mul_f64(fastrand::f64()))
}
