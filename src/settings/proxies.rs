//! The proxies that environment variables name.

use super::error::SettingsError;
use crate::http::{BaseUrl, Proxies, ProxyError};

/// The variables of Vault's and `OpenBao`'s own command lines that name a proxy for all that is
/// sent to Vault; the first that is set counts. No key stands for them.
pub const FOR_VAULT: &[&str] =
    &["VAULT_PROXY_ADDR", "BAO_PROXY_ADDR", "VAULT_HTTP_PROXY", "BAO_HTTP_PROXY"];

/// Refuses variables that send what is for this address through a proxy that cannot be used.
pub fn checked_proxy(proxies: &Proxies, address: &BaseUrl) -> Result<(), SettingsError> {
    match proxies.for_address(address) {
        Ok(_) => Ok(()),
        Err(ProxyError { variable, message }) => Err(SettingsError::new(variable, message)),
    }
}
