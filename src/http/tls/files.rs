//! The content of the files that TLS needs.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::config::{Authorities, Tls};
use crate::file::{read_regular, shown_path};

/// Longest file that is read, in bytes. The bundles of systems have a quarter of a mebibyte.
const LONGEST_FILE: u64 = 1 << 24;

/// What messages call authorities that are in no file.
const PEM: &str = "the text of the authorities";

/// The content of the files that TLS needs.
pub struct TlsFiles {
    /// Those with authorities to trust, each under its name.
    pub authorities: Vec<(PathBuf, Vec<u8>)>,
    /// Our certificate and its key.
    pub identity: Option<IdentityContent>,
}

/// Our certificate and its key.
pub struct IdentityContent {
    /// The file with the certificate.
    pub certificate: Vec<u8>,
    /// The file with the key.
    pub key: Zeroizing<Vec<u8>>,
}

/// A digest of the content of files.
pub type ContentDigest = [u8; 32];

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TlsFileError {
    /// What the file is for.
    pub part: TlsPart,
    /// What is wrong, and with which file.
    pub message: String,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// The authorities to trust.
    Authorities,
    /// Our certificate, or that it is no certificate of our key.
    Certificate,
    /// Our key.
    Key,
}

impl TlsFileError {
    /// An error of a file that is for this.
    pub fn new(part: TlsPart, message: impl Into<String>) -> Self {
        Self { part, message: message.into() }
    }
}

impl TlsFiles {
    /// Reads the files. Blocks, for as long as the file system takes.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(tls: &Tls) -> Result<Self, TlsFileError> {
        let authorities = match &tls.authorities {
            Authorities::System => Vec::new(),
            Authorities::File(file) => vec![(file.clone(), read_file(TlsPart::Authorities, file)?)],
            Authorities::Pem(text) => vec![(PathBuf::from(PEM), text.clone().into_bytes())],
            Authorities::Directory(directory) => read_directory(directory)?,
            Authorities::Variables { file, directories } => {
                let mut read = Vec::new();
                if let Some(file) = file {
                    read.push((file.clone(), read_file(TlsPart::Authorities, file)?));
                }
                for directory in directories {
                    // A list of directories may name some that are not there.
                    read.extend(read_directory(directory).unwrap_or_default());
                }
                read
            }
        };
        let identity = match &tls.identity {
            None => None,
            Some(files) => Some(IdentityContent {
                key: Zeroizing::new(read_file(TlsPart::Key, &files.key)?),
                certificate: read_file(TlsPart::Certificate, &files.certificate)?,
            }),
        };
        Ok(Self { authorities, identity })
    }

    /// Tells whether two looks saw the same.
    pub fn digest(&self) -> ContentDigest {
        let mut digest = Sha256::new();
        for (path, content) in &self.authorities {
            add(&mut digest, path.as_os_str().as_encoded_bytes());
            add(&mut digest, content);
        }
        digest.update(self.identity_digest());
        digest.finalize().into()
    }

    /// Tells whether two looks saw the same certificate and key of ours.
    pub fn identity_digest(&self) -> ContentDigest {
        let mut digest = Sha256::new();
        if let Some(identity) = &self.identity {
            add(&mut digest, &identity.certificate);
            add(&mut digest, &identity.key);
        }
        digest.finalize().into()
    }
}

/// Adds a part with its length, so that no two lists of parts look the same.
fn add(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

/// All files of the directory that can be read, in the order of their names.
fn read_directory(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, TlsFileError> {
    let entries = fs::read_dir(directory).map_err(|error| {
        let shown = shown_path(directory);
        TlsFileError::new(TlsPart::Authorities, format!("cannot read {shown}: {error}"))
    })?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    paths.sort_unstable();
    let read = |path: PathBuf| {
        let content = read_file(TlsPart::Authorities, &path).ok()?;
        Some((path, content))
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

fn read_file(part: TlsPart, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let mut content =
        read_regular(path, LONGEST_FILE).map_err(|message| TlsFileError::new(part, message))?;
    Ok(std::mem::take(&mut *content))
}
