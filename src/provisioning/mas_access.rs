//! Matrix Authentication Service (MAS), by a client that may use its admin API. It is reached when it
//! is first needed.

use std::time::Duration;

use tokio::sync::OnceCell;

use super::account::login_service::LoginService;
use super::error::ProvisioningError;
use super::retry::retry;
use crate::homeserver::mas::{Config, MasClient, SiteConfig};
use crate::homeserver::{AuthMetadata, Homeserver};
use crate::http::BaseUrl;
use crate::notice::Notices;
use crate::retry::Deadline;

/// MAS, and what it has said of itself.
pub struct MasAccess {
    /// How long the sessions are that it opens for a login, if that is configured.
    pub session_lifetime: Option<Duration>,
    config: Config,
    server_name: String,
    notices: Notices,
    client: OnceCell<MasClient>,
    site: OnceCell<SiteConfig>,
}

impl MasAccess {
    /// Takes the client that may use the admin API of the MAS to which this homeserver belongs.
    /// Connects to nothing.
    pub fn new(
        config: Config,
        session_lifetime: Option<Duration>,
        server_name: String,
        notices: Notices,
    ) -> Self {
        let (client, site) = (OnceCell::new(), OnceCell::new());
        Self { session_lifetime, config, server_name, notices, client, site }
    }

    /// The client, once it is known that MAS and the homeserver belong together.
    ///
    /// # Errors
    /// When they do not, and what kept either from answering.
    pub async fn client(
        &self,
        service: &LoginService,
        homeserver: &Homeserver,
        deadline: Deadline,
    ) -> Result<&MasClient, ProvisioningError> {
        let Some(metadata) = service.mas(homeserver, deadline).await? else {
            return Err(signs_in_itself(homeserver));
        };
        let client = self.client.get_or_try_init(async || self.connect(&metadata)).await?;
        self.site(client, deadline).await?;
        Ok(client)
    }

    /// Whether people may log in with a password; `None` before MAS was asked.
    pub fn has_passwords(&self) -> Option<bool> {
        self.site.get().map(|site| site.password_login_enabled)
    }

    async fn site(
        &self,
        client: &MasClient,
        deadline: Deadline,
    ) -> Result<&SiteConfig, ProvisioningError> {
        let ask = async || {
            let action = "ask Matrix Authentication Service to which homeserver it belongs";
            let site = retry(deadline, action, || client.site_config()).await?;
            if site.server_name == self.server_name {
                return Ok(site);
            }
            let message = format!(
                "belongs to the homeserver {}, and not to {}",
                crate::text::quote(&site.server_name),
                self.server_name
            );
            Err(ProvisioningError::of_key("mas_admin_api", message))
        };
        self.site.get_or_try_init(ask).await
    }

    fn connect(&self, metadata: &AuthMetadata) -> Result<MasClient, ProvisioningError> {
        let mut config = self.config.clone();
        if config.token_endpoint.is_none() {
            config.token_endpoint = Some(token_endpoint(&config, metadata)?);
        }
        MasClient::new(config, self.notices.clone()).map_err(|error| {
            ProvisioningError::of_mas(&error, "reach Matrix Authentication Service")
        })
    }
}

/// Where MAS hands out tokens, as it says itself.
fn token_endpoint(config: &Config, metadata: &AuthMetadata) -> Result<BaseUrl, ProvisioningError> {
    let wrong = |message: &str| ProvisioningError::of_key("mas_token_endpoint", message);
    let named = metadata.token_endpoint.as_deref().and_then(|url| BaseUrl::parse(url).ok());
    let endpoint =
        named.ok_or_else(|| wrong("required: the homeserver does not say where tokens are got"))?;
    // The client's secret must not leave the encryption that was asked for.
    if config.admin_api.is_https() && !endpoint.is_https() {
        return Err(wrong(
            "required: Matrix Authentication Service names one without TLS, and mas_admin_api has \
             TLS",
        ));
    }
    Ok(endpoint)
}

/// The homeserver does without MAS.
fn signs_in_itself(homeserver: &Homeserver) -> ProvisioningError {
    let message = format!(
        "must be left out: the homeserver at {} signs its users in itself, without Matrix \
         Authentication Service",
        homeserver.url()
    );
    ProvisioningError::of_key("mas_admin_api", message)
        .advise("give an admin_access_token or the registration_shared_secret instead")
}

/// What only a client of MAS' admin API may do.
pub fn needs_mas_client(metadata: &AuthMetadata, what: &str) -> ProvisioningError {
    let message = format!(
        "required {what}: Matrix Authentication Service ({}) signs this homeserver's users in",
        crate::text::quote(&metadata.issuer)
    );
    ProvisioningError::of_key("mas_admin_api", message).advise(
        "give mas_admin_api, mas_client_id and mas_client_secret_file: the client is one of \
         policy.data.admin_clients in the configuration of Matrix Authentication Service",
    )
}
