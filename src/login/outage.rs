//! Times in which Vault does not answer.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use crate::notice::Notices;
use crate::sync::Mutex;
use crate::vault::VaultError;

/// How often the log says that logins go by secrets in memory.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Whether Vault answers, as far as the logins have found out.
pub struct Outage {
    /// Why Vault did not answer when it was asked last; `None` if it did.
    current: Mutex<Option<VaultError>>,
    said: Mutex<Option<Instant>>,
    notices: Notices,
}

impl Outage {
    /// Knows of none.
    pub fn new(notices: Notices) -> Self {
        Self { current: Mutex::default(), said: Mutex::default(), notices }
    }

    /// Remembers how the last question to Vault ended.
    pub fn note(&self, error: Option<&VaultError>) {
        *lock(&self.current) = error.filter(|error| error.allows_stale()).cloned();
    }

    /// Why Vault did not answer when it was asked last.
    pub fn current(&self) -> Option<VaultError> {
        lock(&self.current).clone()
    }

    /// Says that logins go by secrets in memory meanwhile, unless it was said just before.
    pub fn say_that_memory_serves(&self, error: &VaultError) {
        let mut said = lock(&self.said);
        if said.is_none_or(|said| said.elapsed() > SAID_EVERY) {
            *said = Some(Instant::now());
            self.notices.error(format!("Logins go by secrets in memory, because {error}"));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
