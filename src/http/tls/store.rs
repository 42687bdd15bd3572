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
mod tests {
    use std::path::PathBuf;

    use tokio::time::advance;

    use super::super::config::{Authorities, IdentityFiles};
    use super::super::files::{IdentityContent, TlsPart};
    use super::*;

    const FIRST: &str = include_str!("../../../tests/vectors/tls/first.pem");
    const SECOND: &str = include_str!("../../../tests/vectors/tls/second.pem");
    const KEY: &str = include_str!("../../../tests/vectors/tls/key.pem");
    const OTHER_KEY: &str = include_str!("../../../tests/vectors/tls/other-key.pem");

    /// Files that a test changes, and what was said.
    struct Files {
        authorities: Mutex<Result<String, TlsFileError>>,
        key: Mutex<&'static str>,
        reads: Mutex<u32>,
        said: Mutex<Vec<String>>,
    }

    fn content(files: &Files) -> Result<TlsFiles, TlsFileError> {
        *files.reads.lock() += 1;
        let authorities = files.authorities.lock().clone()?.into_bytes();
        Ok(TlsFiles {
            authorities: vec![(PathBuf::from("/ca.pem"), authorities)],
            identity: Some(IdentityContent {
                certificate: FIRST.into(),
                key: zeroize::Zeroizing::new(files.key.lock().as_bytes().to_vec()),
            }),
        })
    }

    fn store() -> (Arc<TlsStore>, Arc<Files>) {
        store_with(|files| {
            Box::new(move || {
                let read = content(&files).map_err(|error| error.to_string());
                Box::pin(std::future::ready(read))
            })
        })
    }

    fn store_with(read: impl FnOnce(Arc<Files>) -> Read) -> (Arc<TlsStore>, Arc<Files>) {
        let tls = Tls {
            authorities: Authorities::File("/ca.pem".into()),
            identity: Some(IdentityFiles { certificate: "/c".into(), key: "/k".into() }),
            ..Tls::default()
        };
        let files = Arc::new(Files {
            authorities: Mutex::new(Ok(FIRST.to_owned())),
            key: Mutex::new(KEY),
            reads: Mutex::new(0),
            said: Mutex::default(),
        });
        let notices = {
            let files = Arc::clone(&files);
            Notices::new(move |notice| files.said.lock().push(notice.text))
        };
        let first = version(&tls, true, 0, &content(&files).unwrap()).unwrap();
        let read = read(Arc::clone(&files));
        (TlsStore::with(&tls, true, notices, first, read), files)
    }

    async fn seconds(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_taken_when_two_looks_a_second_apart_agree() {
        let (store, files) = store();
        store.watch();
        seconds(9).await;
        *files.authorities.lock() = Ok(FIRST.to_owned() + SECOND);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(store.current().number, 0);
        seconds(1).await;
        assert_eq!(store.current().number, 1);
        // Only the authorities have changed.
        assert_eq!(*store.identity_changes().borrow(), 0);
        assert!(files.said.lock().join("").contains("have changed: new connections use"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_still_being_written_is_waited_for() {
        let (store, files) = store();
        let looking = store.look_again(0, Instant::now());
        let writing = async {
            // Whole certificates, so that only the next look tells that more are coming.
            for (at, content) in [(0, SECOND.to_owned()), (700, SECOND.repeat(2))] {
                sleep(Duration::from_millis(at)).await;
                *files.authorities.lock() = Ok(content);
            }
        };
        let ((), is_new) = tokio::join!(writing, looking);
        assert!(is_new);
        let whole = content(&files).unwrap().digest();
        assert_eq!(store.current().digest, whole);
        assert_eq!(store.current().number, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_used_leaves_what_was_good_and_is_told() {
        let (store, files) = store();
        store.watch();
        let cut_off = SECOND.get(..SECOND.len() / 2).unwrap();
        for (wrong, told) in [
            (Ok(FIRST.to_owned() + cut_off), "a certificate that is cut off"),
            (Ok(String::new()), "no certificate in PEM"),
            (
                Err(TlsFileError::new(TlsPart::Authorities, "cannot read /ca.pem: gone")),
                "cannot read /ca.pem",
            ),
        ] {
            *files.authorities.lock() = wrong;
            seconds(40).await;
            assert_eq!(store.current().number, 0);
            let said = std::mem::take(&mut *files.said.lock());
            assert!(said.len() == 1 && said[0].contains(told), "{said:?}");
            assert!(said[0].contains("going on with what they held before"), "{said:?}");
        }
        *files.authorities.lock() = Ok(SECOND.to_owned());
        seconds(20).await;
        assert_eq!(store.current().number, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_does_not_fit_yet_is_waited_for() {
        let (store, files) = store();
        store.watch();
        *files.key.lock() = OTHER_KEY;
        seconds(20).await;
        assert_eq!(store.current().number, 0);
        let said = std::mem::take(&mut *files.said.lock());
        assert!(said.len() == 1 && said[0].contains("its key cannot be used"), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn another_certificate_of_ours_is_announced() {
        let (store, files) = store();
        let mut changes = store.identity_changes();
        // The same key, with a line more.
        *files.key.lock() = Box::leak(format!("{KEY}\n").into_boxed_str());
        assert!(store.look_again(0, Instant::now()).await);
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_meet_a_certificate_error_look_once() {
        let (store, files) = store();
        seconds(1).await;
        let since = Instant::now();
        let before = *files.reads.lock();
        seconds(1).await;
        let looks = (0..100).map(|_| store.look_again(0, since));
        let news = futures_util::future::join_all(looks).await;
        assert!(news.iter().all(|is_new| !is_new));
        assert_eq!(*files.reads.lock(), before + 1);
        // Those who ask later do not rely on that look.
        seconds(1).await;
        assert!(!store.look_again(0, Instant::now()).await);
        assert_eq!(*files.reads.lock(), before + 2);
    }

    /// Looks at files that hang, for as long as a read may take.
    async fn look_in_vain(store: &TlsStore) {
        let wait = advance(Duration::from_millis(1001));
        assert!(!tokio::join!(store.look_again(0, Instant::now()), wait).0);
        advance(Duration::from_millis(1)).await;
    }

    /// Waits until the files were read so often, and fails if it is more.
    fn wait_for(files: &Files, reads: u32) {
        while *files.reads.lock() < reads {
            std::thread::yield_now();
        }
        assert_eq!(*files.reads.lock(), reads);
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_hang_hold_one_thread_and_are_tried_again_after_ten_minutes() {
        // As on a server that is away: a read waits until the test drops the sender.
        let (server, answers) = std::sync::mpsc::channel::<()>();
        let answers = Arc::new(Mutex::new(answers));
        let (store, files) = store_with(|files| {
            limited(move || {
                let read = content(&files);
                let _ = answers.lock().recv();
                read
            })
        });
        look_in_vain(&store).await;
        // Those who look now go on at once, and hold no thread.
        for _ in 0..100 {
            advance(Duration::from_millis(1)).await;
            assert!(!store.look_again(0, Instant::now()).await);
        }
        // One read was the first of all, which did not hang.
        wait_for(&files, 2);
        let said = std::mem::take(&mut *files.said.lock());
        assert!(said.len() == 1 && said[0].contains("reading them takes too long"), "{said:?}");
        advance(Duration::from_secs(600)).await;
        look_in_vain(&store).await;
        wait_for(&files, 3);

        // The server is back, and so is what the files hold now.
        drop(server);
        *files.authorities.lock() = Ok(SECOND.to_owned());
        advance(Duration::from_secs(600)).await;
        while !store.look_again(0, Instant::now()).await {
            // The threads end in their own time.
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(store.current().number, 1);
    }
}
