//! What TLS has against a connection, in words.

use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error};

use crate::text::quote;

/// Names that are shown of a certificate that is for other servers.
const MOST_NAMES: usize = 5;

/// What a failure of TLS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// One side does not accept the certificate of the other.
    Certificate(String),
    /// The server does not speak TLS, or none that we speak. The words follow the server's name.
    Protocol(String),
    /// Anything else, which may be gone a moment later.
    Other(String),
}

/// Says what TLS has against a connection.
///
/// `trust_setting` is where an administrator names authorities, such as `vault_tls.ca_cert`.
pub fn describe(error: &Error, trust_setting: &str) -> TlsFailure {
    match error {
        Error::InvalidCertificate(error) => {
            TlsFailure::Certificate(server_certificate(error, trust_setting))
        }
        Error::NoCertificatesPresented => {
            TlsFailure::Certificate("the server shows no certificate".to_owned())
        }
        Error::AlertReceived(alert) => alert_text(*alert),
        Error::InvalidMessage(_) => TlsFailure::Protocol(
            "does not speak TLS at this port; write http://, or the port that speaks TLS"
                .to_owned(),
        ),
        Error::PeerIncompatible(_) => TlsFailure::Protocol(
            "speaks no version of TLS, or no cipher, that is safe; TLS 1.2 is the oldest"
                .to_owned(),
        ),
        error => TlsFailure::Other(quote(&error.to_string())),
    }
}

fn server_certificate(error: &CertificateError, trust_setting: &str) -> String {
    use CertificateError as E;
    match error {
        E::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired on {}", date(*not_after))
        }
        E::Expired => "the server's certificate has expired".to_owned(),
        E::NotValidYetContext { not_before, .. } => {
            format!("the server's certificate is valid only from {}", date(*not_before))
        }
        E::NotValidYet => "the server's certificate is not valid yet".to_owned(),
        E::NotValidForNameContext { expected, presented } => {
            format!(
                "the server's certificate is not for the name {}{}",
                name(expected),
                names(presented)
            )
        }
        E::NotValidForName => "the server's certificate is for another name".to_owned(),
        E::UnknownIssuer => format!(
            "the server's certificate is signed by an unknown authority; \
             give it as {trust_setting}"
        ),
        E::Revoked => "the server's certificate has been revoked".to_owned(),
        E::BadSignature => format!(
            "the server's certificate is not signed by the authority that it names; \
             there may be another one of that name: give it as {trust_setting}"
        ),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the server's certificate is not one for servers; \
             its extended key usage must have serverAuth"
                .to_owned()
        }
        E::UnhandledCriticalExtension => {
            "the server's certificate has a critical extension that is not known".to_owned()
        }
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate is signed in a way that is not known or not safe, \
             such as SHA-1"
                .to_owned()
        }
        E::BadEncoding => "the server's certificate is malformed".to_owned(),
        E::Other(other) => of_webpki(other.0.downcast_ref(), trust_setting),
        _ => "the server's certificate is not accepted".to_owned(),
    }
}

fn of_webpki(error: Option<&webpki::Error>, trust_setting: &str) -> String {
    use webpki::Error as E;
    match error {
        Some(E::CaUsedAsEndEntity) => format!(
            "the server's certificate is one of an authority (CA:TRUE); \
             give this very certificate as {trust_setting}, or the server another one"
        ),
        Some(E::EndEntityUsedAsCa) => {
            "the server's certificate is signed by one that may not sign others (CA:FALSE)"
                .to_owned()
        }
        Some(E::UnsupportedCertVersion) => {
            "the server's certificate is not of version 3 of X.509; make a new one".to_owned()
        }
        Some(E::NameConstraintViolation) => {
            "the server's certificate is for a name that its authority may not sign".to_owned()
        }
        Some(E::PathLenConstraintViolated) => {
            "the server's certificate has more authorities above it than they allow".to_owned()
        }
        // These are the library's sentences, such as for a field that cannot be read.
        Some(error) => format!("the server's certificate is not accepted ({error})"),
        None => "the server's certificate is not accepted".to_owned(),
    }
}

/// What the server says of our side.
fn alert_text(alert: AlertDescription) -> TlsFailure {
    use AlertDescription as A;
    let ours = |what: &str| TlsFailure::Certificate(format!("the server {what}"));
    match alert {
        A::CertificateRequired | A::NoCertificate => {
            ours("asks for a client certificate, and none is configured")
        }
        A::CertificateExpired => ours("refuses the client certificate: it has expired"),
        A::CertificateRevoked => ours("refuses the client certificate: it has been revoked"),
        A::UnknownCA => ours("refuses the client certificate: it does not know its authority"),
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown => {
            ours("refuses the client certificate, or asks for one and none is configured")
        }
        A::AccessDenied => ours("refuses the client certificate: access denied"),
        A::UnrecognisedName => ours("has no certificate for the name that it was asked for"),
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => TlsFailure::Protocol(
            "finds no version of TLS or cipher that both sides know; TLS 1.2 is the oldest"
                .to_owned(),
        ),
        alert => TlsFailure::Other(format!("the server ended TLS ({alert:?})")),
    }
}

fn date(time: UnixTime) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(time.as_secs());
    humantime::format_rfc3339_seconds(time).to_string()
}

fn name(name: &ServerName<'_>) -> String {
    quote(&name.to_str())
}

/// The names that a certificate is for, as the end of a sentence.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "; it names none (a common name does not count)".to_owned();
    }
    let shown: Vec<_> = presented.iter().take(MOST_NAMES).map(|name| plain(name)).collect();
    let more = if presented.len() > MOST_NAMES { ", and more" } else { "" };
    format!(", but for {}{more}", quote(&shown.join(", ")))
}

/// The TLS library gives names as in `DnsName("example.org")`.
fn plain(presented: &str) -> &str {
    presented.split('"').nth(1).unwrap_or_else(|| {
        presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{InvalidMessage, OtherError};

    use super::*;

    fn certificate(error: CertificateError) -> String {
        match describe(&Error::InvalidCertificate(error), "vault_tls.ca_cert") {
            TlsFailure::Certificate(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn certificate_errors_are_told_in_words() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000));
        let name = ServerName::try_from("vault").unwrap();
        let other = |error: webpki::Error| CertificateError::Other(OtherError(Arc::new(error)));
        for (error, text) in [
            (
                CertificateError::ExpiredContext { time, not_after: time },
                "the server's certificate expired on 2023-11-14T22:13:20Z",
            ),
            (
                CertificateError::NotValidYetContext { time, not_before: time },
                "the server's certificate is valid only from 2023-11-14T22:13:20Z",
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: name.clone(),
                    presented: vec![r#"DnsName("a.org")"#.into(), "IpAddress(10.0.0.1)".into()],
                },
                "the server's certificate is not for the name vault, but for a.org, 10.0.0.1",
            ),
            (
                CertificateError::NotValidForNameContext { expected: name, presented: vec![] },
                "the server's certificate is not for the name vault; \
                 it names none (a common name does not count)",
            ),
            (
                CertificateError::UnknownIssuer,
                "the server's certificate is signed by an unknown authority; \
                 give it as vault_tls.ca_cert",
            ),
            (
                other(webpki::Error::CaUsedAsEndEntity),
                "the server's certificate is one of an authority (CA:TRUE); give this very \
                 certificate as vault_tls.ca_cert, or the server another one",
            ),
            (
                other(webpki::Error::UnsupportedCertVersion),
                "the server's certificate is not of version 3 of X.509; make a new one",
            ),
        ] {
            assert_eq!(certificate(error), text);
        }
    }

    #[test]
    fn no_certificate_error_is_told_in_the_librarys_debug_text() {
        for error in [
            CertificateError::BadEncoding,
            CertificateError::BadSignature,
            CertificateError::ApplicationVerificationFailure,
            CertificateError::InvalidPurpose,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::Other(OtherError(Arc::new(std::fmt::Error))),
            CertificateError::Other(OtherError(Arc::new(
                webpki::Error::SignatureAlgorithmMismatch,
            ))),
        ] {
            let debug = format!("{error:?}");
            let text = certificate(error);
            assert!(
                text.starts_with("the server's certificate ") && !text.contains(&debug),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_certificates_fault_is_told_apart() {
        let kind = |error| describe(&error, "");
        assert!(matches!(
            kind(Error::InvalidMessage(InvalidMessage::InvalidContentType)),
            TlsFailure::Protocol(text) if text.contains("write http://")
        ));
        assert!(matches!(
            kind(Error::AlertReceived(AlertDescription::ProtocolVersion)),
            TlsFailure::Protocol(_)
        ));
        assert!(matches!(
            kind(Error::AlertReceived(AlertDescription::CertificateRequired)),
            TlsFailure::Certificate(text) if text.contains("none is configured")
        ));
        assert!(matches!(
            kind(Error::AlertReceived(AlertDescription::InternalError)),
            TlsFailure::Other(_)
        ));
    }
}
