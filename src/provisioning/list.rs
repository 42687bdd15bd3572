//! Lists the accounts that Vault holds something for.

use futures_util::{StreamExt, TryStreamExt};

use super::account::account_entry::Record;
use super::error::ProvisioningError;
use super::provisioner::Provisioner;
use super::retry::retry;
use crate::retry::Deadline;
use crate::user_id::UserId;

/// How many entries are read at a time.
const READ_AT_A_TIME: usize = 16;

/// An account that Vault holds something for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUser {
    /// Its id.
    pub matrix_user_id: String,
    /// Whether one can log in with what Vault holds.
    pub state: State,
    /// The service's own id of the user.
    pub external_id: Option<String>,
}

/// Whether one can log in with what Vault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is a secret.
    Ready,
    /// The account was left half-made.
    Unfinished,
    /// The secret was removed, and what was opened with it may not have ended yet.
    Revoking,
    /// There is something, but no usable secret.
    Unusable,
}

impl State {
    /// The state in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unfinished => "unfinished",
            Self::Revoking => "revoking",
            Self::Unusable => "unusable",
        }
    }
}

impl Provisioner {
    /// Lists the accounts of our server that Vault holds something for, by id.
    ///
    /// # Errors
    /// When Vault does not tell.
    pub async fn list_users(&self) -> Result<Vec<ListedUser>, ProvisioningError> {
        if let Some(engine) = self.secrets_engine() {
            return self.list_users_of(&engine).await;
        }
        let deadline = self.deadline();
        let ids = self.listed_ids(deadline).await?;
        let mut users: Vec<ListedUser> = futures_util::stream::iter(ids)
            .map(|user_id| self.listed(deadline, user_id))
            .buffer_unordered(READ_AT_A_TIME)
            .try_filter_map(|user| std::future::ready(Ok(user)))
            .try_collect()
            .await?;
        users.sort_by(|a, b| a.matrix_user_id.cmp(&b.matrix_user_id));
        Ok(users)
    }

    /// The ids below the root. One with a slash lies in a folder.
    async fn listed_ids(&self, deadline: Deadline) -> Result<Vec<UserId>, ProvisioningError> {
        let root = self.config.vault.path_root.to_string();
        let mut folders = vec![String::new()];
        let mut ids = Vec::new();
        while let Some(folder) = folders.pop() {
            let path = format!("{root}/{folder}");
            let names = retry(deadline, &format!("list {path}"), || self.kv.list(&path)).await?;
            for name in names {
                let name = format!("{folder}{name}");
                if name.ends_with('/') {
                    folders.push(name);
                } else if let Ok(user_id) = UserId::parse(&name, self.server_name()) {
                    ids.push(user_id);
                }
            }
        }
        Ok(ids)
    }

    /// An account as it is listed; `None` if nothing is left in Vault but the history.
    async fn listed(
        &self,
        deadline: Deadline,
        user_id: UserId,
    ) -> Result<Option<ListedUser>, ProvisioningError> {
        let newest = self.operation_on(user_id.clone(), deadline).entry.read().await?;
        let (state, external_id) = match Record::of(newest) {
            Record::Nothing => return Ok(None),
            Record::Entry(entry) => (State::Ready, entry.external_id),
            Record::Intent(intent) => (State::Unfinished, intent.external_id),
            Record::Revoking(revocation) => (State::Revoking, revocation.external_id),
            Record::Unusable(_) => (State::Unusable, None),
        };
        Ok(Some(ListedUser { matrix_user_id: user_id.to_string(), state, external_id }))
    }
}
