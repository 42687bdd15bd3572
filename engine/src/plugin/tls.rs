//! Mutual TLS between two processes that have told each other their certificates.
//!
//! The host's certificate is an authority's, signed by itself, with a key on the curve P-521. So no
//! chain is checked: the certificate is the one that the host told, byte for byte, and the
//! handshake is signed with its key.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName as Subject, Error,
    ServerConfig, SignatureScheme,
};

#[expect(clippy::needless_pass_by_value, reason = "as results hand it over")]
fn failed(error: rcgen::Error) -> String {
    format!("cannot make a certificate: {error}")
}

/// The name in the certificates of both sides.
const NAME: &str = "localhost";

/// Our certificate and its key, which live as long as this process.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Makes them up.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn new() -> Result<Self, String> {
        let key = KeyPair::generate().map_err(failed)?;
        Self::with(&key)
    }

    /// Makes up those of a host, whose key is of another kind.
    #[cfg(test)]
    pub fn of_a_host() -> Self {
        Self::with(&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap()).unwrap()
    }

    fn with(key: &KeyPair) -> Result<Self, String> {
        let mut params = CertificateParams::new([NAME.to_owned()]).map_err(failed)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, NAME);
        // A host takes it for the authority of itself.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::KeyCertSign,
        ];
        // We serve at our own socket, and are the client at the host's.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.self_signed(key).map_err(failed)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(ToOwned::to_owned)?;
        Ok(Self { certificate: certificate.der().clone(), key })
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// How we serve the one whose certificate this is, and nobody else.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn server_config(&self, peer: CertificateDer<'static>) -> Result<ServerConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(KnownPeer { certificate: peer, provider }))
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// How we are the client of the one whose certificate this is, and of nobody else.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client_config(&self, peer: CertificateDer<'static>) -> Result<ClientConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(KnownPeer { certificate: peer, provider }))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// The certificate as a host tells its own.
    #[cfg(test)]
    pub fn to_pem(&self) -> String {
        use base64::Engine;

        let text = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }
}

/// What to call the host in TLS. Its certificate is known, so the name decides nothing.
pub fn server_name() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST))
}

/// Accepts one certificate.
#[derive(Debug)]
struct KnownPeer {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl KnownPeer {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if *certificate == self.certificate {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }
}

/// How the signature of a handshake is checked, whichever side has made it: with the key of the
/// certificate.
macro_rules! checks_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

impl ClientCertVerifier for KnownPeer {
    fn root_hint_subjects(&self) -> &[Subject] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate).map(|()| ClientCertVerified::assertion())
    }

    checks_signatures!();
}

impl ServerCertVerifier for KnownPeer {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate).map(|()| ServerCertVerified::assertion())
    }

    checks_signatures!();
}
