//! A secret of ours, written in the configuration or kept in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::file::{SharedFile, is_pipe, read_any, read_regular, shown_path};
use crate::notice::{Notices, Throttle};
use crate::sync::Mutex;

/// Longest file that is read as a secret, in bytes.
const LONGEST_FILE: u64 = 1 << 16;

/// How often the same line about a file is logged.
pub const SAID_EVERY: Duration = Duration::from_secs(3600);

/// A secret of ours, written in the configuration or kept in a file.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Written in the configuration.
    Inline(SecretString),
    /// Kept in a file.
    File(SecretFile),
}

/// A file with a secret, which others may replace while we run. Clones are the same file.
#[derive(Clone, Debug)]
pub struct SecretFile(Arc<State>);

#[derive(Debug)]
struct State {
    file: SharedFile,
    last_good: Mutex<SecretString>,
    throttle: Throttle,
    is_pipe: bool,
}

/// What is done with a pipe or a device in place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipes {
    /// It is refused: a process that runs for long has to read its files again.
    Refused,
    /// It is read once. A command that ends soon may be given one, as by `<(pass show token)`.
    ReadOnce,
}

impl Credential {
    /// The secret as it is now; a file is read again.
    pub async fn read(&self, notices: &Notices) -> SecretString {
        match self {
            Self::Inline(secret) => secret.clone(),
            Self::File(file) => file.read(notices).await,
        }
    }
}

impl SecretFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// When it cannot be read, is too long, is empty, is not text, or is a pipe that is refused.
    /// Says which, and of which file.
    pub fn open(path: PathBuf, pipes: Pipes) -> Result<Self, String> {
        let content = match pipes {
            Pipes::Refused => read_regular(&path, LONGEST_FILE),
            Pipes::ReadOnce => read_any(&path, LONGEST_FILE),
        };
        let last_good = Mutex::new(secret(&path, &content?)?);
        let (is_pipe, throttle) = (is_pipe(&path)?, Throttle::new(SAID_EVERY));
        let file = SharedFile::new(path, LONGEST_FILE);
        Ok(Self(Arc::new(State { file, last_good, throttle, is_pipe })))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> std::path::Display<'_> {
        self.0.file.path().display()
    }

    /// What was read last.
    #[must_use]
    pub fn last_good(&self) -> SecretString {
        self.0.last_good.lock().clone()
    }

    /// Reads the file again. If it cannot be read, says so and returns what it held before.
    pub async fn read(&self, notices: &Notices) -> SecretString {
        if self.0.is_pipe {
            return self.last_good();
        }
        let content = self.0.file.read().await;
        let error = match content.and_then(|content| secret(self.0.file.path(), &content)) {
            Ok(secret) => {
                *self.0.last_good.lock() = secret;
                None
            }
            Err(error) => Some(error),
        };
        self.0.throttle.say(error, |error| {
            notices.error(format!("{error}; going on with what it held before"));
        });
        self.last_good()
    }
}

/// The secret in a file, without the white space around it.
fn secret(path: &Path, content: &[u8]) -> Result<SecretString, String> {
    match std::str::from_utf8(content).map(str::trim) {
        Err(_) => Err(format!("{} is not text", shown_path(path))),
        Ok("") => Err(format!("{} is empty", shown_path(path))),
        Ok(secret) => Ok(SecretString::from(secret)),
    }
}

/// Whether two secrets are the same. Both are our own, so nobody learns anything from the time that
/// this takes.
#[must_use]
pub fn same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[tokio::test]
    async fn a_pipe_is_read_once_or_refused() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"s3cret\n").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let error = SecretFile::open(path.clone(), Pipes::Refused).unwrap_err();
        assert!(error.contains("is a pipe or a device"), "{error}");
        let file = SecretFile::open(path, Pipes::ReadOnce).unwrap();
        let notices = Notices::new(|notice| panic!("{notice:?}"));
        for _ in 0..2 {
            assert_eq!(file.read(&notices).await.expose_secret(), "s3cret");
        }
    }

    #[tokio::test]
    async fn a_file_that_becomes_a_pipe_keeps_what_it_held() {
        let path = std::env::temp_dir().join(format!("synapse-vault-{}", std::process::id()));
        std::fs::write(&path, "s3cret").unwrap();
        let file = SecretFile::open(path.clone(), Pipes::Refused).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let said = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&said);
        let notices = Notices::new(move |notice| log.lock().push(notice.text));
        assert_eq!(file.read(&notices).await.expose_secret(), "s3cret");
        std::fs::remove_file(&path).unwrap();
        let said = said.lock();
        assert!(said.len() == 1 && said[0].contains("is a pipe or a device"), "{said:?}");
    }
}
