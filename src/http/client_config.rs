//! How requests get to a service.

use std::time::Duration;

use super::base_url::BaseUrl;
use super::proxy::Proxies;
use super::tls::Tls;

/// How requests get to a service: to Vault, to the homeserver.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The addresses at which the service is asked.
    pub addresses: Vec<BaseUrl>,
    /// Whom to trust, and who we are.
    pub tls: Tls,
    /// Where an administrator names authorities to trust, such as `vault_tls.ca_cert`.
    pub trust_setting: &'static str,
    /// The proxies between us and the addresses.
    pub proxies: Proxies,
    /// The time that one exchange has. Connecting has half of it, so that a connection that never
    /// was is told from a missing answer, and there is time for another address.
    pub request_timeout: Duration,
}
