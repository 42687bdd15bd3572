//! What the files of TLS hold now: they are read again when they change.
//!
//! Programs renew certificates in place. A change is taken when two looks a second apart see the
//! same and it can be used; until then what was good last stays in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::config::Tls;
use super::credentials::TlsCredentials;
use super::files::{ContentDigest, TlsFileError, TlsFiles};
use crate::file::ReadLimit;
use crate::notice::{Notices, Throttle};
use crate::sync::Mutex;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The time between the two looks that must agree.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// How often files are looked at again that still change.
const MOST_LOOKS: u32 = 3;

/// How often it is said that the files cannot be used.
const SAID_EVERY: Duration = Duration::from_secs(3600);

/// Reads the files, or says what is wrong with one.
type Read = Box<dyn Fn() -> BoxFuture<'static, Result<TlsFiles, String>> + Send + Sync>;

/// Authorities, certificate and key, as they are now.
pub struct TlsStore {
    tls: Tls,
    is_https: bool,
    read: Read,
    current: Mutex<Arc<TlsVersion>>,
    /// Held while the files are looked at; when the last look began.
    looking: tokio::sync::Mutex<Option<Instant>>,
    is_watched: AtomicBool,
    /// How often our certificate has changed.
    identity_changes: watch::Sender<u64>,
    notices: Notices,
    throttle: Throttle,
}

/// What the files held at one time.
pub struct TlsVersion {
    /// Counts the changes.
    pub number: u64,
    /// What was made of the files.
    pub credentials: TlsCredentials,
    digest: ContentDigest,
    identity_digest: ContentDigest,
}

impl TlsStore {
    /// Reads the files for the first time. Blocks, for as long as the file system takes.
    ///
    /// # Errors
    /// What is wrong, and with which file.
    pub fn new(tls: &Tls, is_https: bool, notices: Notices) -> Result<Arc<Self>, TlsFileError> {
        let first = version(tls, is_https, 0, &TlsFiles::read(tls)?)?;
        let read = {
            let tls = Arc::new(tls.clone());
            move || TlsFiles::read(&tls)
        };
        Ok(Self::with(tls, is_https, notices, first, limited(read)))
    }

    fn with(
        tls: &Tls,
        is_https: bool,
        notices: Notices,
        first: TlsVersion,
        read: Read,
    ) -> Arc<Self> {
        Arc::new(Self {
            tls: tls.clone(),
            is_https,
            read,
            current: Mutex::new(Arc::new(first)),
            looking: tokio::sync::Mutex::default(),
            is_watched: AtomicBool::new(false),
            identity_changes: watch::Sender::new(0),
            notices,
            throttle: Throttle::new(SAID_EVERY),
        })
    }

    /// What the files held when they could be used last.
    pub fn current(&self) -> Arc<TlsVersion> {
        Arc::clone(&self.current.lock())
    }

    /// Changes whenever our own certificate does.
    pub fn identity_changes(&self) -> watch::Receiver<u64> {
        self.identity_changes.subscribe()
    }

    /// Looks at the files from now on, in the runtime of the first caller, for as long as this
    /// lives.
    pub fn watch(self: &Arc<Self>) {
        if self.tls.has_files() && !self.is_watched.swap(true, Ordering::Relaxed) {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Looks at the files now, unless somebody did so after `since`. Returns whether there is
    /// another version than the one with this number.
    pub async fn look_again(&self, number: u64, since: Instant) -> bool {
        if !self.tls.has_files() {
            return false;
        }
        let mut last = self.looking.lock().await;
        if last.is_none_or(|last| last < since) && self.current().number == number {
            *last = Some(Instant::now());
            self.look().await;
        }
        self.current().number != number
    }

    /// Looks at the files, and takes what they hold if it is new and can be used.
    async fn look(&self) {
        let wrong = match self.change().await {
            Ok(None) => None,
            Ok(Some(version)) => {
                self.take(version);
                None
            }
            Err(error) => Some(error),
        };
        self.throttle.say(wrong, |wrong| {
            self.notices.error(format!(
                "the TLS files cannot be used: {wrong}; \
                 going on with what they held before"
            ));
        });
    }

    /// What the files hold, if it is not what is in use.
    async fn change(&self) -> Result<Option<TlsVersion>, String> {
        let mut seen = (self.read)().await?;
        let in_use = self.current();
        if seen.digest() == in_use.digest {
            return Ok(None);
        }
        for _ in 0..MOST_LOOKS {
            sleep(SETTLE_TIME).await;
            let before = std::mem::replace(&mut seen, (self.read)().await?);
            if before.digest() == seen.digest() {
                return version(&self.tls, self.is_https, in_use.number + 1, &seen)
                    .map(Some)
                    .map_err(|error| error.to_string());
            }
        }
        // Whoever writes them is not done. The next look will see.
        Ok(None)
    }

    fn take(&self, version: TlsVersion) {
        let is_other_identity = {
            let mut current = self.current.lock();
            let is_other = current.identity_digest != version.identity_digest;
            *current = Arc::new(version);
            is_other
        };
        if is_other_identity {
            self.identity_changes.send_modify(|changes| *changes += 1);
        }
        self.notices.info("the TLS files have changed: new connections use what they hold now");
    }
}

fn version(
    tls: &Tls,
    is_https: bool,
    number: u64,
    files: &TlsFiles,
) -> Result<TlsVersion, TlsFileError> {
    Ok(TlsVersion {
        number,
        credentials: TlsCredentials::new(tls, files, is_https)?,
        digest: files.digest(),
        identity_digest: files.identity_digest(),
    })
}

async fn watch(store: Weak<TlsStore>) {
    loop {
        sleep(LOOK_EVERY).await;
        let Some(store) = store.upgrade() else { return };
        let mut last = store.looking.lock().await;
        *last = Some(Instant::now());
        store.look().await;
    }
}

/// Reads the files within the limits of files that may hang. They are read together, so one of them
/// that hangs is as if all did.
fn limited(
    read: impl Fn() -> Result<TlsFiles, TlsFileError> + Clone + Send + Sync + 'static,
) -> Read {
    let limit = Arc::new(ReadLimit::default());
    Box::new(move || {
        let (limit, read) = (Arc::clone(&limit), read.clone());
        Box::pin(async move {
            match limit.run(read).await {
                Some(files) => files.map_err(|error| error.to_string()),
                None => Err("reading them takes too long".to_owned()),
            }
        })
    })
}

#[cfg(test)]
mod tests;
