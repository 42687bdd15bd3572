//! What the host says in the environment, and the one line that answers it.
//!
//! The environment is the server's own, with its secrets in it: nothing else of it is read.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The variable by which a plugin knows that a host has started it, and its value.
const COOKIE: (&str, &str) = ("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20");

/// The versions that the host speaks of what it says to backends.
const VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";

/// The host's certificate.
const CERTIFICATE: &str = "PLUGIN_CLIENT_CERT";

/// Where the host wants the socket, if it says so.
const SOCKET_DIRECTORY: &str = "PLUGIN_UNIX_SOCKET_DIR";

/// The version of go-plugin's handshake.
const HANDSHAKE_VERSION: u32 = 1;

/// The version that we speak.
const VERSION: u32 = 5;

/// What the host says in the environment.
#[derive(Debug)]
pub struct Invitation {
    /// The host's certificate, the only one that we talk to.
    pub host_certificate: CertificateDer<'static>,
    /// Where the host wants the socket.
    pub socket_directory: Option<PathBuf>,
}

impl Invitation {
    /// Reads the environment.
    ///
    /// # Errors
    /// When no host has started this process, or none that we can talk to.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let (cookie, value) = COOKIE;
        if variable(cookie).as_deref() != Some(value) {
            return Err("this is a plugin of HashiCorp Vault and OpenBao, which start it \
                        themselves; put it into their plugin directory and register it there"
                .to_owned());
        }
        let versions = variable(VERSIONS).unwrap_or_default();
        if !versions.split(',').any(|version| version.trim().parse() == Ok(VERSION)) {
            return Err(format!(
                "the host speaks the versions {versions:?} of the plugin protocol, \
                 and this plugin speaks {VERSION}"
            ));
        }
        let certificate = variable(CERTIFICATE).unwrap_or_default();
        let host_certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| format!("the host gives no certificate in {CERTIFICATE}"))?;
        let socket_directory = variable(SOCKET_DIRECTORY).filter(|directory| !directory.is_empty());
        Ok(Self { host_certificate, socket_directory: socket_directory.map(PathBuf::from) })
    }
}

/// The line that tells the host where to connect, and which certificate to accept there.
pub fn answer(socket: &Path, certificate: &CertificateDer<'_>) -> String {
    let certificate = STANDARD_NO_PAD.encode(certificate);
    format!("{HANDSHAKE_VERSION}|{VERSION}|unix|{}|grpc|{certificate}", socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tls::Identity;

    fn invitation(changed: &str, value: Option<&str>) -> Result<Invitation, String> {
        let pem = Identity::new().unwrap().to_pem();
        Invitation::from_environment(|name| match name {
            name if name == changed => value.map(ToOwned::to_owned),
            "VAULT_BACKEND_PLUGIN" => Some(COOKIE.1.to_owned()),
            VERSIONS => Some("3,4,5".to_owned()),
            CERTIFICATE => Some(pem.clone()),
            _ => None,
        })
    }

    #[test]
    fn a_host_is_known_by_its_cookie() {
        assert!(invitation("", None).is_ok());
        for cookie in [None, Some(""), Some("6669da05")] {
            let error = invitation(COOKIE.0, cookie).unwrap_err();
            assert!(error.contains("plugin of HashiCorp Vault and OpenBao"), "{error}");
        }
    }

    #[test]
    fn a_host_that_speaks_otherwise_is_refused() {
        for versions in [None, Some("4"), Some("15,x"), Some("")] {
            assert!(invitation(VERSIONS, versions).unwrap_err().contains("speaks"));
        }
        for certificate in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nx")] {
            assert!(invitation(CERTIFICATE, certificate).unwrap_err().contains(CERTIFICATE));
        }
    }

    #[test]
    fn the_answer_is_one_line_of_six_parts() {
        let identity = Identity::new().unwrap();
        let line = answer(Path::new("/tmp/x"), identity.certificate());
        let parts: Vec<&str> = line.split('|').collect();
        assert_eq!(parts[..5], ["1", "5", "unix", "/tmp/x", "grpc"]);
        assert_eq!(STANDARD_NO_PAD.decode(parts[5]).unwrap(), identity.certificate().as_ref());
    }
}
