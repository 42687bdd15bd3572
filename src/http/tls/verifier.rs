//! Which certificates of servers are accepted.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, ExtendedKeyPurpose, RootCertStore,
    SignatureScheme,
};

use super::certificate::CertificateFields;
use crate::http::crypto::provider;

/// Accepts what authorities have signed, and certificates that are themselves named as to be
/// trusted.
///
/// The usual verifier refuses the certificate of an authority as a server's. That is what `openssl
/// req -x509` makes, though, and what OpenSSL and Go accept if it is in the file of trusted
/// certificates. It is accepted here as well if it is that very certificate, within its dates, for
/// this name, and not limited to other purposes.
#[derive(Debug)]
pub struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    /// Certificates that a server may show itself.
    named: Vec<CertificateDer<'static>>,
}

/// Accepts every certificate.
#[derive(Debug)]
pub struct AcceptAnything;

impl Verifier {
    /// Trusts these authorities, and servers that show one of the certificates of `named`.
    ///
    /// # Errors
    /// When there is no authority.
    pub fn new(
        authorities: RootCertStore,
        named: Vec<CertificateDer<'static>>,
    ) -> Result<Self, String> {
        WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider())
            .build()
            .map(|authorities| Self { authorities, named })
            .map_err(|error| error.to_string())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The dates come first there, so they are right.
            Err(error)
                if is_of_an_authority(&error) && self.named.iter().any(|c| c == end_entity) =>
            {
                let fields = CertificateFields::parse(end_entity)
                    .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
                if !fields.allows_servers() {
                    return Err(Error::InvalidCertificate(
                        CertificateError::InvalidPurposeContext {
                            required: ExtendedKeyPurpose::ServerAuth,
                            presented: Vec::new(),
                        },
                    ));
                }
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Whether the only fault is that the certificate is one of an authority.
fn is_of_an_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::server::{ServerConfig, ServerConnection};
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion, version};

    use super::*;

    const FIRST: &str = include_str!("../../../tests/vectors/tls/first.pem");
    const SECOND: &str = include_str!("../../../tests/vectors/tls/second.pem");
    const KEY: &str = include_str!("../../../tests/vectors/tls/key.pem");
    const OTHER_KEY: &str = include_str!("../../../tests/vectors/tls/other-key.pem");

    fn certificate(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    /// What a client that trusts the first certificate, and no other, has against a server.
    fn verdict(
        shown: &str,
        key: &str,
        name: &'static str,
        version: &'static SupportedProtocolVersion,
    ) -> Result<(), Error> {
        let mut authorities = RootCertStore::empty();
        authorities.add(certificate(FIRST)).unwrap();
        let verifier = Verifier::new(authorities, vec![certificate(FIRST)]).unwrap();
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = provider().key_provider.load_private_key(key).unwrap();
        // A server that has stolen a certificate cares not whose key it signs with.
        let identity = CertifiedKey::new(vec![certificate(shown)], key);
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        let name = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() {
            let mut sent = Vec::new();
            client.write_tls(&mut sent).unwrap();
            server.read_tls(&mut sent.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut answered = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answered).unwrap();
            }
            let mut answered = answered.as_slice();
            while !answered.is_empty() {
                client.read_tls(&mut answered).unwrap();
                client.process_new_packets()?;
            }
        }
        Ok(())
    }

    #[test]
    fn a_certificate_that_is_named_itself_needs_its_key_and_its_name() {
        for version in [&version::TLS12, &version::TLS13] {
            assert_eq!(verdict(FIRST, KEY, "first.example", version), Ok(()));
            let stolen = verdict(FIRST, OTHER_KEY, "first.example", version).unwrap_err();
            assert_eq!(stolen, Error::InvalidCertificate(CertificateError::BadSignature));
            let misnamed = verdict(FIRST, KEY, "second.example", version).unwrap_err();
            let Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }) =
                misnamed
            else {
                panic!("{misnamed}");
            };
        }
    }

    #[test]
    fn a_certificate_of_an_authority_that_is_not_named_is_refused() {
        let error = verdict(SECOND, OTHER_KEY, "second.example", &version::TLS13).unwrap_err();
        assert!(is_of_an_authority(&error), "{error}");
    }
}
