//! What all verbs share: the two servers, who we are to them, and whose account is meant.

use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::account::account_locks::AccountLocks;
use super::config::Config;
use super::error::ProvisioningError;
use super::patience::Patience;
use crate::homeserver::{AccessToken, Homeserver};
use crate::notice::Notices;
use crate::sync::Mutex;
use crate::user_id::UserId;
use crate::vault::{Client, Kv2, KvEntry};

/// How long the login types of a homeserver are taken for granted.
const LOGIN_TYPES_GOOD_FOR: Duration = Duration::from_secs(60);

/// The longest that the homeserver may take to answer one request. Many registrations at once wait
/// for each other's passwords to be hashed.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// How long after its making a helper begins to look after its Vault token. Those who do one thing
/// and end need not ask for its lease.
const TOKEN_KEPT_ALIVE_AFTER: Duration = Duration::from_secs(10);

/// Creates accounts, keeps their secrets in Vault, and gets tokens with them.
pub struct Provisioner {
    pub(super) settings: Config,
    pub(super) homeserver: Homeserver,
    pub(super) kv: Kv2,
    pub(super) notices: Notices,
    /// So that calls of one process for one account do not contend.
    pub(super) account_locks: AccountLocks,
    login_types: Mutex<Option<(Instant, Vec<String>)>>,
}

/// Where an account's secret is, or will be.
pub struct Account<'a> {
    /// Whose it is.
    pub user_id: UserId,
    /// Its entry in Vault.
    pub entry: KvEntry<'a>,
}

impl Provisioner {
    /// Prepares the connections; connects to nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Config, notices: Notices) -> Result<Self, ProvisioningError> {
        let homeserver =
            Homeserver::new(settings.homeserver.clone(), settings.timeout.min(LONGEST_ANSWER))
                .map_err(|error| {
                    ProvisioningError::of_homeserver(&error, "reach the homeserver")
                })?;
        let client = Client::new(&settings.vault, notices.clone())
            .map_err(|error| ProvisioningError::of_vault(&error, "reach Vault"))?;
        let kv = Kv2::new(client, settings.vault.kv_version);
        Ok(Self {
            settings,
            homeserver,
            kv,
            notices,
            account_locks: AccountLocks::default(),
            login_types: Mutex::default(),
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
        &self.settings.server_name
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.settings.timeout)
    }

    /// The account of a user id, or of a localpart of our server.
    ///
    /// # Errors
    /// When it is no id of our server whose path in Vault is its own.
    pub(super) fn account(&self, user_id: &str) -> Result<Account<'_>, ProvisioningError> {
        let full_id = self.full_id(user_id);
        let user_id = UserId::parse(&full_id, self.server_name()).map_err(|error| {
            let shown: String = full_id.escape_debug().take(300).collect();
            let message = format!("{error}: \"{shown}\"; the homeserver is {}", self.server_name());
            ProvisioningError::of_key("user_id", message)
        })?;
        let entry = self.kv.entry(self.settings.vault.path_root.entry_of(&user_id));
        Ok(Account { user_id, entry })
    }

    /// The same for an account that is to be made, whose id must keep to today's grammar.
    ///
    /// Grammar: <https://spec.matrix.org/v1.16/appendices/#user-identifiers>
    ///
    /// # Errors
    /// Those of [`account`](Self::account), and what is wrong with the localpart.
    pub(super) fn new_account(&self, user_id: &str) -> Result<Account<'_>, ProvisioningError> {
        let account = self.account(user_id)?;
        let is_strict = ruma_common::UserId::parse(account.user_id.as_str())
            .is_ok_and(|user_id| user_id.validate_strict().is_ok());
        if is_strict {
            return Ok(account);
        }
        Err(ProvisioningError::of_key(
            "user_id",
            format!(
                "Matrix allows a to z, 0 to 9 and . _ = - / + before the colon, and not \"{}\"",
                account.user_id
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

    /// The admin access token, if there is one.
    pub(super) async fn admin_token(&self) -> Result<Option<AccessToken>, ProvisioningError> {
        let Some(credential) = &self.settings.admin_access_token else { return Ok(None) };
        let token = credential.read(&self.notices).await;
        AccessToken::parse(&token)
            .map(Some)
            .map_err(|error| ProvisioningError::of_key("admin_access_token", error))
    }

    /// The registration shared secret, if there is one.
    pub(super) async fn shared_secret(&self) -> Option<SecretString> {
        match &self.settings.registration_shared_secret {
            Some(credential) => Some(credential.read(&self.notices).await),
            None => None,
        }
    }

    /// Whether the homeserver offers a login type. What it said lately is not asked again.
    pub(super) async fn offers(
        &self,
        patience: &Patience,
        login_type: &str,
    ) -> Result<bool, ProvisioningError> {
        let known = self
            .login_types()
            .as_ref()
            .filter(|(asked, _)| asked.elapsed() < LOGIN_TYPES_GOOD_FOR)
            .map(|(_, types)| types.iter().any(|offered| offered == login_type));
        if let Some(known) = known {
            return Ok(known);
        }
        let types = patience
            .insist("ask the homeserver for its login types", || self.homeserver.login_types())
            .await?;
        let is_offered = types.iter().any(|offered| offered == login_type);
        *self.login_types() = Some((Instant::now(), types));
        Ok(is_offered)
    }

    fn login_types(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Vec<String>)>> {
        self.login_types.lock()
    }
}
