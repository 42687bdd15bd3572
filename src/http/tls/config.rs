//! What was configured of TLS.

use std::path::PathBuf;

use rustls::pki_types::DnsName;

/// Whom we trust and who we are, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Where the certificates of the authorities to trust are.
    pub authorities: Authorities,
    /// Where our own certificate and its key are.
    pub identity: Option<IdentityFiles>,
    /// The name in the server's certificate, if it is not that of its address.
    pub server_name: Option<String>,
    /// Whether to take any certificate.
    pub skip_verify: bool,
}

/// Where the certificates of the authorities to trust are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorities {
    /// Where the system keeps them.
    #[default]
    System,
    /// In this file, every one of which must be usable.
    File(PathBuf),
    /// These, in PEM, every one of which must be usable.
    Pem(String),
    /// In the files of this directory. What is no certificate there is passed over.
    Directory(PathBuf),
    /// In what `SSL_CERT_FILE` and `SSL_CERT_DIR` name in place of the system's.
    Variables {
        /// A file with certificates.
        file: Option<PathBuf>,
        /// Directories with such files, in the order in which they are read.
        directories: Vec<PathBuf>,
    },
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Tls {
    /// A name that a server's certificate may be for, and that TLS can ask a server for.
    ///
    /// # Errors
    /// When the text is no such name: IP addresses are none.
    pub fn parse_server_name(text: &str) -> Result<String, &'static str> {
        match DnsName::try_from(text.trim()) {
            Ok(name) => Ok(name.as_ref().to_owned()),
            Err(_) => Err("must be a name, such as \"vault.example.org\": no address, no port"),
        }
    }

    /// Whether there are files that may change.
    #[must_use]
    pub fn has_files(&self) -> bool {
        !matches!(self.authorities, Authorities::System | Authorities::Pem(_))
            || self.identity.is_some()
    }
}
