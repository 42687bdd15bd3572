//! How long a verb goes on trying: what passes is waited out, what does not is said at once.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::time::{Instant, timeout_at};

use super::error::{ErrorKind, ProvisioningError};
use crate::homeserver::HomeserverError;
use crate::vault::VaultError;

/// The longest wait before the second try. It doubles from try to try up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long nobody listening is taken for a restart.
const RESTARTING_FOR: Duration = Duration::from_secs(5);

/// The time one verb has, and what is done with it.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    limit: Duration,
    deadline: Instant,
}

/// An error that a later try may not meet.
pub trait Passing {
    /// Whether the same request may succeed later.
    fn may_pass(&self) -> bool;
    /// Whether nobody took the connection.
    fn is_of_nobody(&self) -> bool;
    /// How long the server asks to wait.
    fn asks_to_wait(&self) -> Option<Duration>;
    /// The error as the caller gets it.
    fn tell(&self, action: &str) -> ProvisioningError;
}

impl Patience {
    /// Begins now.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, deadline: Instant::now() + limit }
    }

    /// The time that is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Sends a request until it gets an answer that stands. It must do no harm to send it twice.
    ///
    /// A server that asks to wait (429) is obeyed; if it asks for longer than there is, nothing is
    /// waited for. Where nobody listens it is given up after a few seconds.
    ///
    /// # Errors
    /// The last error. `action` says what was wanted, such as "log @a:b in".
    pub async fn insist<T, E: Passing, F: Future<Output = Result<T, E>>>(
        &self,
        action: &str,
        request: impl FnMut() -> F,
    ) -> Result<T, ProvisioningError> {
        let waits = ExponentialBuilder::new()
            .with_min_delay(SHORTEST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_jitter()
            .without_max_times();
        let began = Instant::now();
        let mut last = None;
        let trying = request.retry(waits).when(E::may_pass).adjust(|error, wait| {
            last = Some(error.tell(action));
            let wait = wait?.max(error.asks_to_wait().unwrap_or_default());
            let is_hopeless = error.is_of_nobody() && began.elapsed() > RESTARTING_FOR;
            (wait < self.left() && !is_hopeless).then_some(wait)
        });
        match timeout_at(self.deadline, trying).await {
            Ok(result) => result.map_err(|error| error.tell(action)),
            Err(_) => Err(last.unwrap_or_else(|| self.out_of_time(action))),
        }
    }

    fn out_of_time(&self, action: &str) -> ProvisioningError {
        let message = format!("cannot {action}: the {:?} that it may take are over", self.limit);
        ProvisioningError::new(ErrorKind::Unreachable, message)
            .advise("look at the servers' logs, or give a longer timeout")
    }
}

impl Passing for VaultError {
    fn may_pass(&self) -> bool {
        self.is_transient()
    }

    fn is_of_nobody(&self) -> bool {
        matches!(self, Self::NoAnswer { cause, .. } if cause.is_unconnected())
    }

    fn asks_to_wait(&self) -> Option<Duration> {
        self.retry_after()
    }

    fn tell(&self, action: &str) -> ProvisioningError {
        ProvisioningError::of_vault(self, action)
    }
}

impl Passing for HomeserverError {
    fn may_pass(&self) -> bool {
        self.is_transient()
    }

    fn is_of_nobody(&self) -> bool {
        matches!(self, Self::Unreachable { was_connected: false, .. })
    }

    fn asks_to_wait(&self) -> Option<Duration> {
        self.retry_after()
    }

    fn tell(&self, action: &str) -> ProvisioningError {
        ProvisioningError::of_homeserver(self, action)
    }
}
