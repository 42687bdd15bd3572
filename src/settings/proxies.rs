//! The proxies that environment variables name.

use super::error::SettingsError;
use crate::http::{BaseUrl, Proxies, ProxyError};

/// Refuses variables that send what is for this address through a proxy that cannot be used.
pub fn checked_proxy(proxies: &Proxies, address: &BaseUrl) -> Result<(), SettingsError> {
    match proxies.for_address(address) {
        Ok(_) => Ok(()),
        Err(ProxyError { variable, message }) => Err(SettingsError::new(variable, message)),
    }
}
