//! What all verbs share: the two servers, who we are to them, and whose account is meant.

use std::time::Duration;

use super::account::account_locks::AccountLocks;
use super::account::login_service::LoginService;
use super::config::Config;
use super::error::ProvisioningError;
use super::mas_access::MasAccess;
use crate::homeserver::{Homeserver, mas};
use crate::notice::Notices;
use crate::retry::Deadline;
use crate::user_id::UserId;
use crate::vault::{Client, Kv2};

/// The longest that the homeserver may take to answer one request. Many registrations at once wait
/// for each other's passwords to be hashed.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// How long after its start a provisioner begins to renew its Vault token. One that does a single
/// thing and ends need not ask for the token's lease.
const TOKEN_KEPT_ALIVE_AFTER: Duration = Duration::from_secs(10);

/// Creates accounts, keeps their secrets in Vault, and gets tokens with them.
pub struct Provisioner {
    pub(super) config: Config,
    pub(super) homeserver: Homeserver,
    pub(super) kv: Kv2,
    pub(super) notices: Notices,
    /// Let calls of one process for one account wait for each other.
    pub(super) account_locks: AccountLocks,
    pub(super) login_service: LoginService,
    /// Matrix Authentication Service, if there is a client that may use its admin API.
    pub(super) mas: Option<MasAccess>,
}

impl Provisioner {
    /// Prepares the connections; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: Config, notices: Notices) -> Result<Self, ProvisioningError> {
        let request_timeout = config.timeout.min(LONGEST_ANSWER);
        let homeserver =
            Homeserver::new(config.homeserver.clone(), request_timeout, notices.clone()).map_err(
                |error| ProvisioningError::of_homeserver(&error, "reach the homeserver"),
            )?;
        let client = Client::new(&config.vault, notices.clone())
            .map_err(|error| ProvisioningError::of_vault(&error, "reach Vault"))?;
        let kv = Kv2::new(client, config.vault.kv_version);
        let mas = config.mas.clone().map(|mas| {
            let mas = mas::Config { request_timeout, ..mas };
            MasAccess::new(
                mas,
                config.mas_session_lifetime,
                config.server_name.clone(),
                notices.clone(),
            )
        });
        Ok(Self {
            config,
            homeserver,
            kv,
            notices,
            account_locks: AccountLocks::default(),
            login_service: LoginService::default(),
            mas,
        })
    }

    /// Keeps the Vault token alive; never returns. Run it beside the verbs.
    pub fn keep_token_alive(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let keeping = self.kv.client().watch();
        async {
            tokio::time::sleep(TOKEN_KEPT_ALIVE_AFTER).await;
            keeping.await;
        }
    }

    /// The homeserver's URL, as it was given.
    #[must_use]
    pub fn homeserver_url(&self) -> String {
        self.homeserver.url().to_string()
    }

    /// The name in the homeserver's user ids.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.config.server_name
    }

    /// The time that a verb has which begins now.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.config.timeout)
    }

    /// A user id, from itself or from a localpart of our server.
    ///
    /// # Errors
    /// When it is no id of our server whose path in Vault is its own.
    pub(super) fn user_id(&self, user_id: &str) -> Result<UserId, ProvisioningError> {
        let full_id = self.full_id(user_id);
        UserId::parse(&full_id, self.server_name()).map_err(|error| {
            let shown: String = full_id.escape_debug().take(300).collect();
            let message = format!("{error}: \"{shown}\"; the homeserver is {}", self.server_name());
            ProvisioningError::of_key("user_id", message)
        })
    }

    /// The same for an account that is to be created, whose id must keep to today's grammar.
    ///
    /// Grammar: <https://spec.matrix.org/v1.16/appendices/#user-identifiers>
    ///
    /// # Errors
    /// Those of [`user_id`](Self::user_id), and what is wrong with the localpart.
    pub(super) fn new_user_id(&self, user_id: &str) -> Result<UserId, ProvisioningError> {
        let user_id = self.user_id(user_id)?;
        let is_strict = ruma_common::UserId::parse(user_id.as_str())
            .is_ok_and(|user_id| user_id.validate_strict().is_ok());
        if is_strict {
            return Ok(user_id);
        }
        Err(ProvisioningError::of_key(
            "user_id",
            format!(
                "Matrix allows a to z, 0 to 9 and . _ = - / + before the colon, and not \"{user_id}\""
            ),
        ))
    }

    fn full_id(&self, user_id: &str) -> String {
        if user_id.starts_with('@') {
            user_id.to_owned()
        } else {
            format!("@{user_id}:{}", self.server_name())
        }
    }
}
