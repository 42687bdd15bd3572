//! Authorities, certificate and key, ready for use.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DEFAULT_VERSIONS, Error, InconsistentKeys, RootCertStore};

use super::certificate::CertificateFields;
use super::config::{Authorities, Tls};
use super::files::{IdentityContent, TlsFileError, TlsFiles, TlsPart};
use super::verifier::{AcceptAnything, Verifier};
use crate::file::shown_path;
use crate::http::crypto::provider;

/// Authorities, certificate and key, ready for use.
pub struct TlsCredentials {
    /// `None` accepts no server.
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    identity: Option<Arc<CertifiedKey>>,
}

/// Whether the files that are named can be used. Without `is_https` the system's authorities are
/// not looked for: nothing needs them. They are looked for once in a process.
///
/// # Errors
/// What is wrong, and with which of the files.
pub fn check_files(tls: &Tls, is_https: bool) -> Result<(), TlsFileError> {
    static SYSTEM: OnceLock<Result<(), TlsFileError>> = OnceLock::new();
    let is_system_needed = tls.authorities == Authorities::System && is_https && !tls.skip_verify;
    if is_system_needed {
        SYSTEM.get_or_init(|| system().map(drop)).clone()?;
    }
    TlsCredentials::new(tls, &TlsFiles::read(tls)?, is_https && !is_system_needed).map(drop)
}

impl TlsCredentials {
    /// Makes them of files that were read.
    ///
    /// # Errors
    /// What is no certificate or key, or does not fit.
    pub fn new(tls: &Tls, files: &TlsFiles, is_https: bool) -> Result<Self, TlsFileError> {
        // All that is named is looked at, also what nothing needs now: a mistake is told at once.
        let verifier = match &tls.authorities {
            // Nothing is verified, so a system without authorities must not keep us from starting.
            Authorities::System if !is_https || tls.skip_verify => None,
            Authorities::System => Some(system()?),
            Authorities::File(_) | Authorities::Pem(_) => Some(of_file(files)?),
            Authorities::Directory(directory) => Some(of_directory(directory, files)?),
            Authorities::Variables { .. } => Some(of_variables(files)?),
        };
        let verifier: Option<Arc<dyn ServerCertVerifier>> = match verifier {
            _ if tls.skip_verify => Some(Arc::new(AcceptAnything)),
            Some(verifier) => Some(Arc::new(verifier)),
            None => None,
        };
        let identity = match (&files.identity, &tls.identity) {
            (Some(content), Some(paths)) => {
                let key = identity(content, &paths.certificate, &paths.key)?;
                Some(Arc::new(key))
            }
            _ => None,
        };
        Ok(Self { verifier, identity })
    }

    /// What connections to one address are made with. Each call gives a store of TLS sessions of
    /// its own: a session that is resumed is verified by nobody, so none may outlive what it was
    /// verified with.
    ///
    /// # Errors
    /// When the TLS library refuses to work.
    pub fn client_config(&self) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(DEFAULT_VERSIONS)
            .map_err(|error| error.to_string())?;
        let builder = match &self.verifier {
            Some(verifier) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::clone(verifier))
            }
            None => builder.with_root_certificates(RootCertStore::empty()),
        };
        let mut config = match &self.identity {
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn system() -> Result<Verifier, TlsFileError> {
    let found = rustls_native_certs::load_native_certs();
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    Verifier::new(authorities, Vec::new()).map_err(|_| {
        let cause = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        let message = "the system has no certificate authorities to trust; name them here";
        TlsFileError::new(TlsPart::Authorities, format!("{message}{cause}"))
    })
}

/// Every certificate of the file must be usable: it was named for it.
fn of_file(files: &TlsFiles) -> Result<Verifier, TlsFileError> {
    let mut authorities = RootCertStore::empty();
    let mut named = Vec::new();
    for (path, content) in &files.authorities {
        let shown = shown_path(path);
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
        let found = found.map_err(|_| {
            TlsFileError::new(
                TlsPart::Authorities,
                format!("{shown} holds a certificate that is cut off"),
            )
        })?;
        if found.is_empty() {
            let message = format!("{shown} holds no certificate in PEM");
            return Err(TlsFileError::new(TlsPart::Authorities, message));
        }
        for certificate in &found {
            authorities.add(certificate.clone()).map_err(|error| {
                let message = format!("{shown} holds a certificate that cannot be used: {error}");
                TlsFileError::new(TlsPart::Authorities, message)
            })?;
        }
        named.extend(found);
    }
    verifier(authorities, named)
}

/// What is no certificate in a directory, or cannot be used as one, is passed over.
fn of_directory(directory: &Path, files: &TlsFiles) -> Result<Verifier, TlsFileError> {
    let named = readable(files);
    if named.is_empty() {
        let shown = shown_path(directory);
        let message = format!("{shown} holds no file with a certificate in PEM");
        return Err(TlsFileError::new(TlsPart::Authorities, message));
    }
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(named.iter().cloned());
    verifier(authorities, named)
}

fn of_variables(files: &TlsFiles) -> Result<Verifier, TlsFileError> {
    let named = readable(files);
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(named.iter().cloned());
    Verifier::new(authorities, named).map_err(|_| {
        let message = "SSL_CERT_FILE and SSL_CERT_DIR name no certificate authorities to trust";
        TlsFileError::new(TlsPart::Authorities, message)
    })
}

fn readable(files: &TlsFiles) -> Vec<CertificateDer<'static>> {
    files
        .authorities
        .iter()
        .flat_map(|(_, content)| CertificateDer::pem_slice_iter(content).filter_map(Result::ok))
        .collect()
}

fn verifier(
    authorities: RootCertStore,
    named: Vec<CertificateDer<'static>>,
) -> Result<Verifier, TlsFileError> {
    Verifier::new(authorities, named).map_err(|cause| {
        TlsFileError::new(TlsPart::Authorities, format!("no authority can be used: {cause}"))
    })
}

fn identity(
    content: &IdentityContent,
    certificate: &Path,
    key: &Path,
) -> Result<CertifiedKey, TlsFileError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content.certificate).collect();
    let chain = found.ok().filter(|chain| !chain.is_empty());
    // One file may hold both: each is looked for by its kind.
    let private_key = PrivateKeyDer::from_pem_slice(&content.key).ok();
    let (certificate, key) = (shown_path(certificate), shown_path(key));
    let (Some(chain), Some(private_key)) = (chain, private_key) else {
        let message = format!("{certificate} and {key} are not a certificate and its key in PEM");
        return Err(TlsFileError::new(TlsPart::Certificate, message));
    };
    let unusable = |cause: String| {
        let message = format!("{certificate} and its key cannot be used: {cause}");
        TlsFileError::new(TlsPart::Certificate, message)
    };
    let private_key = provider()
        .key_provider
        .load_private_key(private_key)
        .map_err(|error| unusable(error.to_string()))?;
    let identity = CertifiedKey::new(chain, private_key);
    if !keys_match(&identity) {
        let mismatch = Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
        return Err(unusable(mismatch.to_string()));
    }
    Ok(identity)
}

/// Whether the key is that of the certificate. Whether the certificate itself is any good, is for
/// the server to judge: some accept certificates of version 1, which the TLS library does not even
/// parse.
fn keys_match(identity: &CertifiedKey) -> bool {
    let Some(public_key) = identity.key.public_key() else { return true };
    let Ok(certificate) = identity.end_entity_cert() else { return false };
    CertificateFields::parse(certificate)
        .is_some_and(|fields| fields.public_key_info == public_key.as_ref())
}
