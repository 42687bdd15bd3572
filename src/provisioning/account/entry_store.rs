//! What is done with an account's entry in Vault.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::super::error::ProvisioningError;
use super::super::retry::retry;
use super::account_entry::{AccountEntry, Record};
use super::account_id::AccountId;
use super::conflict::contended;
use crate::retry::Deadline;
use crate::vault::{EntryVersion, KvEntry, VaultError, Written};

/// How often an entry is read again because others write it as well.
const MAX_ROUNDS: u32 = 20;

/// How long to wait before that: a node of Vault may be behind, and another call that has begun may
/// be about to finish.
const ROUND_INTERVAL: Duration = Duration::from_millis(150);

/// How many versions are destroyed at once. Vault keeps ten of each entry by default.
const MAX_DESTROYED: u32 = 10_000;

/// An account's entry in Vault, and the time that there is for what is done with it.
pub struct EntryStore<'a> {
    account: AccountId,
    entry: KvEntry<'a>,
    deadline: Deadline,
}

/// An entry as it is now.
pub struct Current {
    /// The version, which the next write has to name.
    pub version: u32,
    /// What it holds.
    pub record: Record,
    /// Whether the entry has any content, whatever it means.
    pub is_stored: bool,
    /// When it was written, by Vault's clock; `None` if Vault did not say.
    pub written: Option<SystemTime>,
    /// When Vault answered, by its clock.
    pub answered: Option<SystemTime>,
    /// Whether this is the first round, so that another call may be in the middle of its work.
    pub is_first: bool,
}

/// Reads an entry again and again, for one who writes it by check-and-set.
pub struct Rounds<'s, 'a> {
    store: &'s EntryStore<'a>,
    count: u32,
}

impl<'a> EntryStore<'a> {
    /// The entry of an account.
    pub fn new(account: AccountId, entry: KvEntry<'a>, deadline: Deadline) -> Self {
        Self { account, entry, deadline }
    }

    /// Reads the newest version.
    pub async fn read(&self) -> Result<EntryVersion, ProvisioningError> {
        let action = format!("read {}", self.account.path);
        retry(self.deadline, &action, || self.entry.read()).await
    }

    /// The secret of an account that has one.
    pub async fn secret(&self) -> Result<SecretString, ProvisioningError> {
        let newest = self.read().await?;
        Ok(Record::of(newest).entry(&self.account)?.login_secret)
    }

    /// The entry as it is now, and again each time that somebody else was faster to write it.
    pub fn rounds(&self) -> Rounds<'_, 'a> {
        Rounds { store: self, count: 0 }
    }

    /// Writes the version that follows `after`; `None` if somebody else has written one since.
    pub async fn write(
        &self,
        fields: Map<String, Value>,
        after: u32,
    ) -> Result<Option<Written>, ProvisioningError> {
        let action = format!("write {}", self.account.path);
        let may_have_applied = AtomicBool::new(false);
        let write = || async {
            let result = self.entry.write(fields.clone(), after).await;
            if result.as_ref().is_err_and(VaultError::may_have_applied) {
                may_have_applied.store(true, Ordering::Relaxed);
            }
            result
        };
        let written = retry(self.deadline, &action, write).await?;
        if written.is_some() || !may_have_applied.into_inner() {
            return Ok(written);
        }
        // It may have been a request of ours whose answer was lost.
        let newest = self.read().await?;
        let is_ours =
            newest.fields.as_ref() == Some(&fields) && newest.version.checked_sub(1) == Some(after);
        let EntryVersion { version, created_time, deletion_time, .. } = newest;
        Ok(is_ours.then_some(Written { version, created_time, deletion_time }))
    }

    /// Whether Vault still has what a version held.
    pub async fn holds(&self, version: u32) -> Result<bool, ProvisioningError> {
        let action = format!("look at the versions of {}", self.account.path);
        let held = retry(self.deadline, &action, || self.entry.read_version(version)).await?;
        Ok(held.fields.is_some())
    }

    /// Destroys versions.
    pub async fn destroy(&self, versions: &[u32]) -> Result<(), ProvisioningError> {
        if versions.is_empty() {
            return Ok(());
        }
        let action = format!("destroy versions {versions:?} of {}", self.account.path);
        retry(self.deadline, &action, || self.entry.destroy(versions)).await
    }

    /// Destroys this version and all before it.
    pub async fn destroy_through(&self, version: u32) -> Result<(), ProvisioningError> {
        let first = version.saturating_sub(MAX_DESTROYED).saturating_add(1);
        let versions: Vec<u32> = (first..=version).collect();
        if versions.is_empty() {
            return Ok(());
        }
        let action = format!("destroy the earlier versions of {}", self.account.path);
        retry(self.deadline, &action, || self.entry.destroy(&versions)).await
    }

    /// Destroys the intents that an entry says are left of its creation.
    pub async fn destroy_intents(&self, entry: &AccountEntry) -> Result<(), ProvisioningError> {
        let action = format!("look at the versions of {}", self.account.path);
        let mut intents = Vec::new();
        for version in &entry.intent_versions {
            let read = || self.entry.read_version(*version);
            let held = retry(self.deadline, &action, read).await?;
            // In a copied entry the numbers may be those of any versions.
            if matches!(Record::of(held), Record::Intent(_)) {
                intents.push(*version);
            }
        }
        self.destroy(&intents).await
    }

    /// Removes the entry with all its versions.
    pub async fn remove(&self) -> Result<(), ProvisioningError> {
        let action = format!("remove {}", self.account.path);
        retry(self.deadline, &action, || self.entry.remove()).await
    }
}

impl Rounds<'_, '_> {
    /// Reads the entry. Every time but the first, waits before that.
    ///
    /// # Errors
    /// When Vault does not tell, and when the entry changed so often that something is wrong.
    pub async fn next(&mut self) -> Result<Current, ProvisioningError> {
        if self.count == MAX_ROUNDS {
            return Err(contended(&self.store.account));
        }
        let is_first = self.count == 0;
        if !is_first {
            tokio::time::sleep(ROUND_INTERVAL.min(self.store.deadline.left())).await;
        }
        self.count = self.count.saturating_add(1);
        let newest = self.store.read().await?;
        Ok(Current {
            version: newest.version,
            written: humantime::parse_rfc3339(&newest.created_time).ok(),
            answered: newest
                .answered
                .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))),
            is_stored: newest.fields.is_some(),
            record: Record::of(newest),
            is_first,
        })
    }
}
