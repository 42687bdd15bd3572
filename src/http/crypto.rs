//! The cryptography that TLS uses.

/// Installs the cryptography that TLS uses, once.
pub fn install_provider() {
    // An error means that one is installed already, which serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
