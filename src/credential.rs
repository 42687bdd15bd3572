//! A secret of ours, written in the configuration or kept in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::notice::{Notices, Throttle};
use crate::sync::Mutex;
use crate::text::is_printable;

/// Longest file that is read as a secret, in bytes.
const LONGEST_FILE: u64 = 1 << 16;

/// Time that reading a file may take. A file system may hang, as over a network.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// How often it is said that a file cannot be read.
pub const SAID_EVERY: Duration = Duration::from_secs(3600);

/// A secret of ours, written in the configuration or kept in a file.
#[derive(Debug)]
pub enum Credential {
    /// Written in the configuration.
    Inline(SecretString),
    /// Kept in a file.
    File(SecretFile),
}

/// A file with a secret, which others may replace while we run.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    last_good: Mutex<SecretString>,
    throttle: Throttle,
}

impl Credential {
    /// The secret as it is now; a file is read anew.
    pub async fn read(&self, notices: &Notices) -> SecretString {
        match self {
            Self::Inline(secret) => secret.clone(),
            Self::File(file) => file.read(notices).await,
        }
    }
}

impl Clone for Credential {
    fn clone(&self) -> Self {
        match self {
            Self::Inline(secret) => Self::Inline(secret.clone()),
            Self::File(file) => Self::File(file.clone()),
        }
    }
}

impl SecretFile {
    /// Opens the file for the first time.
    ///
    /// # Errors
    /// When it cannot be read, is too long, is empty or is not text. Says which, and of which file.
    pub fn open(path: PathBuf) -> Result<Self, String> {
        let content = read_file(&path)?;
        Ok(Self { path, last_good: Mutex::new(content), throttle: Throttle::new(SAID_EVERY) })
    }

    /// Where the file is.
    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// What was read last.
    pub fn last_good(&self) -> SecretString {
        self.last_good.lock().clone()
    }

    /// Reads the file anew; if it cannot be read, says so and returns what it held before.
    pub async fn read(&self, notices: &Notices) -> SecretString {
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || read_file(&path));
        let error = match tokio::time::timeout(READ_TIMEOUT, reading).await {
            Ok(Ok(Ok(content))) => {
                *self.last_good.lock() = content;
                None
            }
            Ok(Ok(Err(error))) => Some(error),
            Ok(Err(_)) | Err(_) => Some(format!("cannot read {}: it takes too long", self.path())),
        };
        self.throttle.say(error, |error| {
            notices.error(format!("{error}; going on with what it held before"));
        });
        self.last_good()
    }
}

impl Clone for SecretFile {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            last_good: Mutex::new(self.last_good()),
            throttle: Throttle::new(SAID_EVERY),
        }
    }
}

/// How to call a file that cannot be read.
///
/// Somebody may have put the secret itself where its file belongs, and some secrets have a slash,
/// though seldom as their first character. A whole path is shown also behind what cannot be seen, as
/// that is then what is wrong.
#[must_use]
pub fn shown_path(path: &Path) -> &str {
    let is_blank = |c: char| c.is_whitespace() || !is_printable(c);
    path.to_str()
        .filter(|text| text.trim_start_matches(is_blank).starts_with('/'))
        .unwrap_or("the file named there (give its whole path)")
}

/// The content of a file, without the white space around it.
fn read_file(path: &Path) -> Result<SecretString, String> {
    use std::io::Read;

    let shown = shown_path(path);
    let file =
        std::fs::File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut content = Zeroizing::new(String::new());
    file.take(LONGEST_FILE + 1).read_to_string(&mut content).map_err(|error| {
        match error.kind() {
            std::io::ErrorKind::InvalidData => format!("{shown} is not text"),
            _ => format!("cannot read {shown}: {error}"),
        }
    })?;
    match content.trim() {
        "" => Err(format!("{shown} is empty")),
        _ if content.len() as u64 > LONGEST_FILE => {
            Err(format!("{shown} is longer than {LONGEST_FILE} bytes"))
        }
        secret => Ok(SecretString::from(secret)),
    }
}

/// Whether two secrets are the same. Both are our own, so the time this takes tells nobody.
#[must_use]
pub fn same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}
