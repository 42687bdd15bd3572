//! When sessions whose end is not confirmed are tried next.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use synapse_vault_auth_provider_core::retry::Backoff;
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::time::Instant;

/// The wait after the first attempt that fails, at most. It doubles up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// When sessions are tried next. What is not here is tried at once.
#[derive(Default)]
pub struct Attempts(Mutex<HashMap<String, Attempt>>);

struct Attempt {
    backoff: Backoff,
    next: Instant,
}

impl Attempts {
    /// Whether a session is to be tried now.
    pub fn is_due(&self, id: &str) -> bool {
        self.0.lock().get(id).is_none_or(|attempt| attempt.next <= Instant::now())
    }

    /// A session could not be ended.
    pub fn failed(&self, id: &str) {
        let mut attempts = self.0.lock();
        let attempt = attempts.entry(id.to_owned()).or_insert_with(|| Attempt {
            backoff: Backoff::new(SHORTEST_WAIT, LONGEST_WAIT).with_jitter(0.5),
            next: Instant::now(),
        });
        attempt.next = Instant::now() + attempt.backoff.next_wait();
    }

    /// Forgets a session that is pending no more.
    pub fn forget(&self, id: &str) {
        self.0.lock().remove(id);
    }

    /// Forgets all but these.
    pub fn keep_only(&self, ids: &HashSet<&str>) {
        self.0.lock().retain(|id, _| ids.contains(id.as_str()));
    }
}
