//! Small files that others may replace while we run, on file systems that may hang.

use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::sync::Mutex;
use crate::text::is_printable;

/// Time that a read may take. A file system may hang, as over a network.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// How long nobody tries again to read a file whose last read hangs. The thread of a read that
/// hangs cannot be ended, but the file system may have come back for others.
const RETRIED_AFTER: Duration = Duration::from_secs(600);

/// Reads at once in a process. Each has a thread, and name resolution needs threads of the same
/// pool.
const MOST_READS: usize = 8;

/// Reads that must be free for a file whose last read hangs, so that one such file leaves room for
/// the others.
const LEFT_FOR_OTHERS: usize = 4;

static READS: Semaphore = Semaphore::const_new(MOST_READS);

/// A small file that others may replace. It is read by one at a time.
#[derive(Debug)]
pub struct SharedFile {
    path: PathBuf,
    longest: u64,
    read: Read,
    limit: ReadLimit,
}

/// How a file is read, on a thread that it may hold for ever.
type Read = fn(&Path, u64) -> Result<Zeroizing<Vec<u8>>, String>;

/// Limits the reads of a file, or of files that are read together: there is one at a time. If that
/// one hangs, another begins after ten minutes, and a process has at most eight that hang.
#[derive(Debug)]
pub struct ReadLimit {
    reading: Mutex<Reading>,
    /// One permit for each read of the process that goes on.
    places: &'static Semaphore,
}

/// Who reads.
#[derive(Debug)]
struct Reading {
    /// One permit, for the one who reads.
    turn: Arc<Semaphore>,
    since: Instant,
}

impl SharedFile {
    /// A file of at most `longest` bytes. It is not opened yet.
    #[must_use]
    pub fn new(path: PathBuf, longest: u64) -> Self {
        Self { path, longest, read: read_regular, limit: ReadLimit::default() }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read within a second, is no regular file, or is too long. Says which, and
    /// of which file.
    pub async fn read(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let (path, longest, read) = (self.path.clone(), self.longest, self.read);
        let content = self.limit.run(move || read(&path, longest)).await;
        content.unwrap_or_else(|| {
            Err(format!("cannot read {}: it takes too long", shown_path(&self.path)))
        })
    }
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self { reading: Mutex::default(), places: &READS }
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), since: Instant::now() }
    }
}

impl ReadLimit {
    /// What `read` returns, on a thread that it may hold for ever; `None` if it takes longer than a
    /// second, or does not begin because another one hangs.
    pub async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = self.turn()?;
        let reading = async {
            let turn = turn.acquire_owned().await.ok()?;
            self.reading.lock().since = Instant::now();
            let place = self.places.acquire().await.ok()?;
            let reading = tokio::task::spawn_blocking(move || {
                let _held = (turn, place);
                read()
            });
            reading.await.ok()
        };
        timeout(READ_TIMEOUT, reading).await.ok().flatten()
    }

    /// What to wait for before a read; `None` if the last one hangs.
    fn turn(&self) -> Option<Arc<Semaphore>> {
        let mut reading = self.reading.lock();
        if reading.turn.available_permits() == 0 && reading.since.elapsed() >= READ_TIMEOUT {
            let is_retried = reading.since.elapsed() >= RETRIED_AFTER
                && self.places.available_permits() > LEFT_FOR_OTHERS;
            if !is_retried {
                return None;
            }
            *reading = Reading::default();
        }
        Some(Arc::clone(&reading.turn))
    }
}

/// How a file is named that cannot be read.
///
/// Somebody may have put the secret itself where its file belongs, and some secrets have a slash,
/// though seldom as their first character. A whole path is shown also behind what cannot be seen,
/// as that is then what is wrong.
#[must_use]
pub fn shown_path(path: &Path) -> &str {
    let is_blank = |c: char| c.is_whitespace() || !is_printable(c);
    path.to_str()
        .filter(|text| text.trim_start_matches(is_blank).starts_with('/'))
        .unwrap_or("the file named there (give its whole path)")
}

/// Whether this is a pipe or a device, which gives its content once, and may make one wait for it.
///
/// # Errors
/// When there is no such file.
pub fn is_pipe(path: &Path) -> Result<bool, String> {
    fs::metadata(path)
        .map(|metadata: Metadata| !metadata.is_file() && !metadata.is_dir())
        .map_err(|error| format!("cannot read {}: {error}", shown_path(path)))
}

/// Reads a regular file, without a limit on the time.
///
/// # Errors
/// When it cannot be read, is no regular file, or is longer than `longest` bytes.
pub fn read_regular(path: &Path, longest: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    if is_pipe(path)? {
        return Err(format!(
            "{} is a pipe or a device, which cannot be read again; name a regular file",
            shown_path(path)
        ));
    }
    read_any(path, longest)
}

/// Reads a file of any kind, without a limit on the time.
///
/// # Errors
/// When it cannot be read, or is longer than `longest` bytes.
pub fn read_any(path: &Path, longest: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let shown = shown_path(path);
    let read = || -> io::Result<_> {
        let mut content = Zeroizing::new(Vec::new());
        fs::File::open(path)?.take(longest.saturating_add(1)).read_to_end(&mut content)?;
        Ok(content)
    };
    match read() {
        Ok(content) if content.len() as u64 > longest => {
            Err(format!("{shown} is longer than {longest} bytes"))
        }
        Ok(content) => Ok(content),
        Err(error) => Err(format!("cannot read {shown}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::advance;

    use super::*;

    /// A pipe that nobody writes to: whoever opens it waits.
    struct Pipe(PathBuf);

    impl Pipe {
        fn new(name: &str) -> Self {
            let name = format!("synapse-vault-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
            Self(path)
        }

        /// Lets all go on that wait.
        fn release(&self) {
            drop(fs::OpenOptions::new().read(true).write(true).open(&self.0));
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            // The runtime of a test that fails waits for its threads.
            self.release();
            let _ = fs::remove_file(&self.0);
        }
    }

    /// The reads of [`hanging`] that have begun.
    static BEGUN: AtomicUsize = AtomicUsize::new(0);

    /// As a file on a server that is away: a pipe makes one wait until somebody writes to it.
    fn hanging(path: &Path, longest: u64) -> Result<Zeroizing<Vec<u8>>, String> {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        read_any(path, longest)
    }

    /// The timer is that exact.
    const TICK: Duration = Duration::from_millis(1);

    /// Reads for as long as a read may take. The clock stands still while a thread reads.
    async fn read_in_vain(file: &SharedFile) -> String {
        tokio::join!(file.read(), advance(READ_TIMEOUT + TICK)).0.unwrap_err()
    }

    /// Waits until so many reads have begun on their threads, and fails if it is more.
    fn wait_for(begun: usize) {
        while BEGUN.load(Ordering::Relaxed) < begun {
            std::thread::yield_now();
        }
        assert_eq!(BEGUN.load(Ordering::Relaxed), begun);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_is_tried_again_after_ten_minutes_and_holds_few_threads() {
        // Other tests read files too.
        static PLACES: Semaphore = Semaphore::const_new(MOST_READS);
        let pipe = Pipe::new("hangs");
        let limit = ReadLimit { places: &PLACES, ..ReadLimit::default() };
        let file = SharedFile { path: pipe.0.clone(), longest: 10, read: hanging, limit };
        assert!(read_in_vain(&file).await.contains("it takes too long"));
        // All who come now go on at once, and hold no thread.
        for _ in 0..100 {
            assert!(file.read().await.is_err());
        }
        wait_for(1);
        advance(RETRIED_AFTER).await;
        read_in_vain(&file).await;
        wait_for(2);
        for _ in 0..100 {
            advance(RETRIED_AFTER).await;
            tokio::join!(file.read(), advance(READ_TIMEOUT + TICK)).0.unwrap_err();
        }
        wait_for(MOST_READS - LEFT_FOR_OTHERS);

        // The server is back: all reads end, and the next one works.
        let other = SharedFile::new(pipe.0.with_extension("other"), 10);
        fs::write(other.path(), "content").unwrap();
        assert_eq!(&**other.read().await.unwrap(), b"content");
        pipe.release();
        fs::rename(other.path(), &pipe.0).unwrap();
        advance(RETRIED_AFTER).await;
        let content = loop {
            // The threads end in their own time.
            match file.read().await {
                Ok(content) => break content,
                Err(_) => std::thread::yield_now(),
            }
        };
        assert_eq!(&**content, b"content");
    }

    #[test]
    fn a_pipe_is_no_regular_file() {
        let pipe = Pipe::new("refused");
        let error = read_regular(&pipe.0, 10).unwrap_err();
        assert!(error.contains("is a pipe or a device"), "{error}");
    }
}
