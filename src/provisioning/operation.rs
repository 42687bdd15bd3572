//! One call of a verb for one account.

use super::account::account_id::AccountId;
use super::account::entry_store::EntryStore;
use super::account::remote_account::RemoteAccount;
use super::account::sessions::Sessions;
use super::authority::Authority;
use super::error::ProvisioningError;
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
        let accounts = Authority::new(
            self.config.admin_access_token.as_ref(),
            self.config.registration_shared_secret.as_ref(),
            &self.notices,
            remote.clone(),
        );
        Operation {
            entry: EntryStore::new(account.clone(), entry, deadline),
            sessions: Sessions::new(remote.clone(), &self.login_types),
            accounts,
            account,
            remote,
        }
    }
}
