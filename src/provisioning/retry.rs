//! Repeats the requests of a verb, and words what they fail with.

use std::time::Duration;

use super::error::{ErrorKind, ProvisioningError};
use crate::homeserver::HomeserverError;
use crate::homeserver::mas::MasError;
use crate::retry::{Backoff, Deadline, RetryError, Transient};
use crate::vault::VaultError;

/// The longest wait before the second request. It doubles up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A server's error that has words for the caller of a verb.
pub trait ServerError: Transient {
    /// The error of a verb that wanted to do something, such as "log @a:b in".
    fn while_trying_to(&self, action: &str) -> ProvisioningError;
}

/// Sends a request until it succeeds, fails for good, or the deadline passes. It must do no harm to
/// send it twice.
///
/// # Errors
/// The last error. `action` says what was wanted, such as "log @a:b in".
pub async fn retry<T, E: ServerError, F: Future<Output = Result<T, E>>>(
    deadline: Deadline,
    action: &str,
    request: impl FnMut() -> F,
) -> Result<T, ProvisioningError> {
    match crate::retry::retry(deadline, backoff(), request).await {
        Ok(value) => Ok(value),
        Err(RetryError::Failed(error) | RetryError::TimedOut(Some(error))) => {
            Err(error.while_trying_to(action))
        }
        Err(RetryError::TimedOut(None)) => {
            let limit = deadline.limit();
            let message = format!("cannot {action}: the {limit:?} that it may take are over");
            Err(ProvisioningError::new(ErrorKind::Unreachable, message)
                .advise("look at the servers' logs, or give a longer timeout"))
        }
    }
}

/// The waits between requests of one verb.
pub fn backoff() -> Backoff {
    Backoff::new(SHORTEST_WAIT, LONGEST_WAIT)
}

impl ServerError for VaultError {
    fn while_trying_to(&self, action: &str) -> ProvisioningError {
        ProvisioningError::of_vault(self, action)
    }
}

impl ServerError for HomeserverError {
    fn while_trying_to(&self, action: &str) -> ProvisioningError {
        ProvisioningError::of_homeserver(self, action)
    }
}

impl ServerError for MasError {
    fn while_trying_to(&self, action: &str) -> ProvisioningError {
        ProvisioningError::of_mas(self, action)
    }
}
