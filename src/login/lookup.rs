//! One user's secret, asked for until Vault answers or the login's time is over.

use std::sync::Mutex;
use std::time::Duration;

use backon::Retryable;

use crate::settings::Settings;
use crate::user_id::UserId;
use crate::vault::{Entry, Transport, VaultError, read_login_secret};

/// The longest wait before the second try. It doubles from try to try up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Reads users' secrets, riding out what may pass within a login's time.
pub struct Lookup {
    transport: Transport,
    settings: Settings,
}

impl Lookup {
    /// Prepares the connections; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, VaultError> {
        Ok(Self { transport: Transport::new(&settings.vault)?, settings })
    }

    /// The path of the user's secret as an administrator would write it, mount first.
    pub fn path_of(&self, user_id: &UserId) -> String {
        let vault = &self.settings.vault;
        format!("{}/{}", vault.mount, vault.path_root.entry_of(user_id))
    }

    /// Reads the user's secret within `login_timeout`.
    ///
    /// # Errors
    /// The last thing that went wrong; a time-out if nothing had gone wrong before it.
    pub async fn read(&self, user_id: &UserId) -> Result<Entry, VaultError> {
        let vault = &self.settings.vault;
        let path = vault.path_root.entry_of(user_id);
        let last_error = Mutex::new(None);
        let read = || read_login_secret(&self.transport, &vault.mount, &path);
        let persistent = read
            .retry(full_jitter())
            .sleep(tokio::time::sleep)
            .when(VaultError::is_transient)
            .notify(|error, _| *lock(&last_error) = Some(error.clone()));
        match tokio::time::timeout(self.settings.login_timeout, persistent).await {
            Ok(found) => found,
            Err(_) => Err(lock(&last_error).take().unwrap_or_else(|| VaultError::TimedOut {
                address: vault.address.to_string(),
                limit: self.settings.login_timeout,
            })),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Exponential waits, each anywhere between nothing and its bound: clients that fail together do
/// not come back together. After
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
fn full_jitter() -> impl backon::Backoff {
    std::iter::successors(Some(SHORTEST_WAIT), |wait| Some(LONGEST_WAIT.min(*wait * 2)))
        .map(|bound| bound.mul_f64(fastrand::f64()))
}
