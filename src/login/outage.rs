//! Times in which Vault does not answer.

use std::time::Duration;

use crate::notice::{Notices, Throttle};
use crate::sync::Mutex;
use crate::vault::VaultError;

/// How often the log says that logins are decided by secrets in memory.
const NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// Whether Vault answers, as far as the logins have found out.
pub struct Outage {
    /// Why Vault did not answer when it was asked last; `None` if it did.
    current: Mutex<Option<VaultError>>,
    throttle: Throttle,
    notices: Notices,
}

impl Outage {
    /// Knows of none.
    pub fn new(notices: Notices) -> Self {
        Self { current: Mutex::default(), throttle: Throttle::new(NOTICE_INTERVAL), notices }
    }

    /// Remembers how the last read ended.
    pub fn note(&self, error: Option<&VaultError>) {
        *self.current.lock() = error.filter(|error| error.allows_stale()).cloned();
    }

    /// Why Vault did not answer when it was asked last.
    pub fn current(&self) -> Option<VaultError> {
        self.current.lock().clone()
    }

    /// Says that logins are decided by secrets in memory, unless it was said a short while ago.
    pub fn say_that_memory_serves(&self, error: &VaultError) {
        // One line whatever the error: with several nodes it may be another one every time.
        self.throttle.say(Some("memory serves".to_owned()), |_| {
            self.notices.error(format!("Logins go by secrets in memory, because {error}"));
        });
    }
}
