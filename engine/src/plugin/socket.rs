//! The socket that we listen at.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use synapse_vault_auth_provider_core::random::new_device_id;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// What the names of sockets begin with.
const PREFIX: &str = "vault-plugin-matrix-";

/// How long a socket may take to say whether somebody listens at it.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// A socket that is removed when we stop listening.
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Listens in this directory, or in that for temporary files.
    ///
    /// # Errors
    /// When there can be no socket.
    pub fn bind(directory: Option<&Path>) -> Result<Self, String> {
        let directory = directory.map_or_else(std::env::temp_dir, Path::to_owned);
        let mark = new_device_id().map_err(|error| error.to_string())?;
        let path = directory.join(format!("{PREFIX}{mark}"));
        let failed = |error: io::Error| format!("cannot listen at {}: {error}", path.display());
        let listener = UnixListener::bind(&path).map_err(failed)?;
        Ok(Self { path, listener })
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the sockets beside ours that nobody listens at: a plugin that is killed leaves its own
/// behind.
pub async fn remove_those_left_behind(ours: PathBuf) {
    let Some(entries) = ours.parent().and_then(|directory| fs::read_dir(directory).ok()) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path == ours || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Ok(Err(error)) = timeout(PROBE_TIME, UnixStream::connect(&path)).await
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            let _ = fs::remove_file(&path);
        }
    }
}
