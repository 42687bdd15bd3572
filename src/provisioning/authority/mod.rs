//! What lets us create accounts and change those of others: one file for each kind, with the same
//! functions.
//!
//! The kind is chosen from the configuration, without a request. Its credential is read when it is
//! first used, so that verbs that can do without it never fail because of it.

mod admin_api;
mod creation;
mod credential_source;
mod lookup;
mod mas;
mod mas_creation;
mod mas_evidence;
mod shared_secret;

use super::account::account_entry::Intent;
use super::account::attributes::Attributes;
use super::account::creation_method::{CreatedAs, CreationMethod};
use super::account::mas_account::MasAccount;
use super::account::remote_account::RemoteAccount;
use super::error::ProvisioningError;
use crate::credential::Credential;
use crate::homeserver::AccessToken;
use crate::notice::Notices;
use admin_api::AdminApi;
pub use creation::{Created, Creation, Evidence, LeftOver, NewAccount};
use credential_source::CredentialSource;
pub use lookup::AccountLookup;
use mas::Mas;
pub use mas::no_user_types;
use shared_secret::SharedSecret;

/// What lets us create one account, and change it if it is another's.
pub enum Authority<'a> {
    /// Synapse's admin API, by an administrator's access token.
    AdminApi(AdminApi<'a>),
    /// Registration by Synapse's shared secret. All else takes a session of the account's own.
    SharedSecret(SharedSecret<'a>),
    /// The admin API of Matrix Authentication Service (MAS), where that signs users in.
    Mas(Mas<'a>),
}

/// Whether attributes were set.
pub enum SetOutcome {
    /// They were; the URI of the picture, if there is one.
    Set(Option<String>),
    /// It takes a session of the account's own to set them.
    TakesOwnSession,
}

impl<'a> Authority<'a> {
    /// The authority over an account: MAS' admin API if its client is given, else Synapse's for all
    /// that it can do, if both credentials are given.
    pub fn new(
        mas: Option<MasAccount<'a>>,
        admin_token: Option<&'a Credential>,
        shared_secret: Option<&'a Credential>,
        notices: &'a Notices,
        account: RemoteAccount<'a>,
    ) -> Self {
        let source = |credential| CredentialSource { credential, notices };
        if let Some(mas) = mas {
            return Self::Mas(Mas::new(mas));
        }
        match admin_token {
            Some(token) => Self::AdminApi(AdminApi::new(source(token), account)),
            None => Self::SharedSecret(SharedSecret::new(shared_secret.map(source), account)),
        }
    }

    /// Whether it may change accounts without a session of theirs.
    pub fn is_administrator(&self) -> bool {
        matches!(self, Self::AdminApi(_) | Self::Mas(_))
    }

    /// Whether it is MAS'.
    pub fn is_mas(&self) -> bool {
        matches!(self, Self::Mas(_))
    }

    /// Where an account can be reactivated, in words.
    pub fn place(&self) -> &'static str {
        if self.is_mas() { "at Matrix Authentication Service" } else { "over the admin API" }
    }

    /// How it creates accounts.
    pub fn creation_method(&self) -> CreationMethod {
        match self {
            Self::AdminApi(_) => CreationMethod::AdminApi,
            Self::SharedSecret(_) => CreationMethod::SharedSecret,
            Self::Mas(_) => CreationMethod::Mas,
        }
    }

    /// Checks that it can create accounts, before anything is changed.
    ///
    /// # Errors
    /// When its credential is missing or malformed.
    pub async fn check(&self) -> Result<(), ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => admin_api.check().await,
            Self::SharedSecret(shared_secret) => shared_secret.check(),
            Self::Mas(mas) => mas.check().await,
        }
    }

    /// Asks the homeserver about the account.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn look_up(&self) -> Result<AccountLookup, ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => admin_api.look_up().await,
            Self::SharedSecret(shared_secret) => shared_secret.look_up().await,
            Self::Mas(mas) => mas.look_up().await,
        }
    }

    /// Creates the account if it is not there. Changes nothing about one that is.
    pub async fn create(&self, new: &NewAccount<'_>) -> Creation {
        match self {
            Self::AdminApi(admin_api) => admin_api.create().await,
            Self::SharedSecret(shared_secret) => shared_secret.create(new).await,
            Self::Mas(mas) => mas.create(new).await,
        }
    }

    /// Looks for evidence that somebody else created the account of an intent.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn evidence(&self, intent: &Intent) -> Result<Evidence, ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => admin_api.evidence(intent).await,
            Self::SharedSecret(_) => Ok(Evidence::Unknown),
            Self::Mas(mas) => mas.evidence(intent).await,
        }
    }

    /// What has to be set of an account that was created as `created_as`.
    ///
    /// # Errors
    /// When one of the attributes cannot be set any more.
    pub fn left_to_set<'t>(
        &self,
        attributes: Attributes<'t>,
        created_as: Option<&CreatedAs>,
    ) -> Result<Attributes<'t>, ProvisioningError> {
        match self {
            Self::AdminApi(_) => Ok(attributes),
            Self::SharedSecret(_) => shared_secret::left_to_set(attributes, created_as),
            Self::Mas(_) => mas::left_to_set(attributes, created_as),
        }
    }

    /// Sets attributes of an account that exists. Those that only a session of the account's own can
    /// set are left.
    ///
    /// # Errors
    /// What the homeserver has against them.
    pub async fn set(
        &self,
        attributes: &mut Attributes<'_>,
    ) -> Result<SetOutcome, ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => {
                return admin_api.set(attributes).await.map(SetOutcome::Set);
            }
            Self::SharedSecret(_) => {}
            Self::Mas(mas) => mas.set(attributes).await?,
        }
        let is_done = attributes.is_empty();
        Ok(if is_done { SetOutcome::Set(None) } else { SetOutcome::TakesOwnSession })
    }

    /// A token that needs no credentials of the account; `None` if there is no such thing.
    ///
    /// # Errors
    /// What the homeserver has against it.
    pub async fn token(&self) -> Result<Option<AccessToken>, ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => admin_api.token_for_account().await.map(Some),
            Self::SharedSecret(_) | Self::Mas(_) => Ok(None),
        }
    }

    /// Takes away what else lets somebody log in: the password, and addresses by which it can be
    /// reset. Returns what could not be done.
    ///
    /// # Errors
    /// As for [`Self::end_sessions`].
    pub async fn reset_credentials(&self) -> Result<Vec<String>, ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => admin_api.reset_credentials().await,
            Self::Mas(mas) => mas.reset_credentials().await.map(|()| Vec::new()),
            Self::SharedSecret(_) => Err(shared_secret::needs_administrator()),
        }
    }

    /// Ends all sessions of the account.
    ///
    /// # Errors
    /// When it takes an administrator, and what the homeserver has against it.
    pub async fn end_sessions(&self) -> Result<(), ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => admin_api.end_sessions().await,
            Self::Mas(mas) => mas.end_sessions().await,
            Self::SharedSecret(_) => Err(shared_secret::needs_administrator()),
        }
    }

    /// Closes the account for good.
    ///
    /// # Errors
    /// As for [`Self::end_sessions`].
    pub async fn deactivate(&self) -> Result<(), ProvisioningError> {
        match self {
            Self::AdminApi(admin_api) => admin_api.deactivate().await,
            Self::Mas(mas) => mas.deactivate().await,
            Self::SharedSecret(_) => Err(shared_secret::needs_administrator()),
        }
    }
}
