//! Where MAS is, and who we are to it.

use std::time::Duration;

use super::Ulid;
use crate::credential::Credential;
use crate::http::{BaseUrl, Proxies, Tls};

/// Where MAS is, and who we are to it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where MAS' listener with the resource `adminapi` is, without `/api/admin/v1`.
    pub admin_api: BaseUrl,
    /// Where MAS' listener with the resources `discovery`, `oauth` and `compat` is: the `endpoint` of
    /// Synapse's configuration.
    pub public: Option<BaseUrl>,
    /// Where tokens are handed out; if it is `None`, [`public`](Self::public) is asked.
    pub token_endpoint: Option<BaseUrl>,
    /// The client that may use the admin API.
    pub client_id: Ulid,
    /// Its secret.
    pub client_secret: Credential,
    /// Whom to trust.
    pub tls: Tls,
    /// Where an administrator names authorities to trust, such as `mas.ca_cert`.
    pub trust_setting: &'static str,
    /// The proxies between us and MAS.
    pub proxies: Proxies,
    /// The time that one exchange has.
    pub request_timeout: Duration,
}
