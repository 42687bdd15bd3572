//! One call of a verb for one account.

use super::account::account_entry::{AccountEntry, Record};
use super::account::account_id::AccountId;
use super::account::entry_store::EntryStore;
use super::account::mas_account::MasAccount;
use super::account::provision_request::ProvisionRequest;
use super::account::remote_account::RemoteAccount;
use super::account::sessions::Sessions;
use super::authority::{Authority, no_user_types};
use super::error::ProvisioningError;
use super::mas_access::needs_mas_client;
use super::provisioner::Provisioner;
use crate::retry::Deadline;
use crate::user_id::UserId;

/// One call of a verb for one account.
pub struct Operation<'a> {
    /// Which account is meant.
    pub account: AccountId,
    /// The account on the homeserver.
    pub remote: RemoteAccount<'a>,
    /// Its entry in Vault.
    pub entry: EntryStore<'a>,
    /// What lets us create it, and change it if it is another's.
    pub accounts: Authority<'a>,
    /// Its sessions.
    pub sessions: Sessions<'a>,
}

impl Operation<'_> {
    /// Makes sure that the account can be created as it is wanted, before anything is changed.
    ///
    /// # Errors
    /// When there is no right to do so, and what the homeserver cannot do.
    pub async fn check_creation(
        &self,
        request: &ProvisionRequest,
    ) -> Result<(), ProvisioningError> {
        self.check_authority("to create accounts").await?;
        self.check_user_type(request.user_type.as_deref()).await
    }

    /// Makes sure that there is a right of the kind that this homeserver takes, which is another one
    /// where Matrix Authentication Service signs users in.
    ///
    /// # Errors
    /// When there is none. `what` says what it is needed for.
    pub async fn check_authority(&self, what: &str) -> Result<(), ProvisioningError> {
        let checked = self.accounts.check().await;
        if self.accounts.is_mas() {
            return checked;
        }
        let mas = match &checked {
            Ok(()) => self.sessions.mas_metadata().await?,
            Err(_) => self.sessions.mas_metadata_if_answered().await,
        };
        match mas {
            Some(metadata) => Err(needs_mas_client(&metadata, what)),
            None => checked,
        }
    }

    /// Matrix Authentication Service has no types, but accounts from before it have theirs.
    async fn check_user_type(&self, user_type: Option<&str>) -> Result<(), ProvisioningError> {
        if user_type.is_none() || !self.accounts.is_mas() {
            return Ok(());
        }
        match Record::of(self.entry.read().await?) {
            Record::Entry(AccountEntry { created_as: Some(created_as), .. })
                if created_as.user_type.as_deref() == user_type =>
            {
                Ok(())
            }
            _ => Err(no_user_types()),
        }
    }
}

impl Provisioner {
    /// Begins a call for a user id, or for a localpart of our server.
    ///
    /// # Errors
    /// When it is no id of our server whose path in Vault is its own.
    pub(super) fn operation(&self, user_id: &str) -> Result<Operation<'_>, ProvisioningError> {
        Ok(self.operation_on(self.user_id(user_id)?, self.deadline()))
    }

    /// The same for an account that is to be created, whose id must keep to today's grammar.
    ///
    /// # Errors
    /// Those of [`operation`](Self::operation), and what is wrong with the localpart.
    pub(super) fn operation_for_new(
        &self,
        user_id: &str,
    ) -> Result<Operation<'_>, ProvisioningError> {
        Ok(self.operation_on(self.new_user_id(user_id)?, self.deadline()))
    }

    /// A call for one account that is part of a verb for many, with the time that the verb has.
    pub(super) fn operation_on(&self, user_id: UserId, deadline: Deadline) -> Operation<'_> {
        let entry = self.kv.entry(self.config.vault.path_root.entry_of(&user_id));
        let account = AccountId { user_id: user_id.clone(), path: entry.path() };
        let remote = RemoteAccount { homeserver: &self.homeserver, user_id, deadline };
        let mas = self.mas.as_ref().map(|access| MasAccount {
            access,
            service: &self.login_service,
            account: remote.clone(),
        });
        let accounts = Authority::new(
            mas.clone(),
            self.config.admin_access_token.as_ref(),
            self.config.registration_shared_secret.as_ref(),
            &self.notices,
            remote.clone(),
        );
        Operation {
            entry: EntryStore::new(account.clone(), entry, deadline),
            sessions: Sessions::new(remote.clone(), &self.login_service, mas),
            accounts,
            account,
            remote,
        }
    }
}
