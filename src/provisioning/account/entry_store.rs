//! What is done with an account's entry in Vault, a step at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::error::ProvisioningError;
use super::super::patience::Patience;
use super::super::provisioner::{Account, Provisioner};
use super::account_entry::{AccountEntry, Record};
use crate::homeserver::{AccessToken, Session};
use crate::vault::{EntryVersion, VaultError, Written};

/// How long a session may take to be ended that nobody needs, whatever time its verb has left.
const FAREWELL: Duration = Duration::from_secs(5);

impl Provisioner {
    /// Reads the newest version.
    pub(crate) async fn read(
        &self,
        patience: &Patience,
        account: &Account<'_>,
    ) -> Result<EntryVersion, ProvisioningError> {
        let action = format!("read {}", account.entry.path());
        patience.insist(&action, || account.entry.read()).await
    }

    /// Writes the version that follows `after`; `None` if somebody else has written one since.
    pub(crate) async fn write(
        &self,
        patience: &Patience,
        account: &Account<'_>,
        fields: Map<String, Value>,
        after: u32,
    ) -> Result<Option<Written>, ProvisioningError> {
        let action = format!("write {}", account.entry.path());
        let may_have_applied = AtomicBool::new(false);
        let writing = || async {
            let result = account.entry.write(fields.clone(), after).await;
            if result.as_ref().is_err_and(VaultError::may_have_applied) {
                may_have_applied.store(true, Ordering::Relaxed);
            }
            result
        };
        let written = patience.insist(&action, writing).await?;
        if written.is_some() || !may_have_applied.into_inner() {
            return Ok(written);
        }
        // Perhaps it was a try of ours whose answer got lost.
        let newest = self.read(patience, account).await?;
        let is_ours =
            newest.fields.as_ref() == Some(&fields) && newest.version.checked_sub(1) == Some(after);
        let EntryVersion { version, created_time, .. } = newest;
        Ok(is_ours.then_some(Written { version, created_time }))
    }

    /// Destroys versions.
    pub(crate) async fn destroy(
        &self,
        patience: &Patience,
        account: &Account<'_>,
        versions: &[u32],
    ) -> Result<(), ProvisioningError> {
        if versions.is_empty() {
            return Ok(());
        }
        let action = format!("destroy versions {versions:?} of {}", account.entry.path());
        patience.insist(&action, || account.entry.destroy(versions)).await
    }

    /// Destroys what is left of an intent beside its entry.
    pub(crate) async fn forget_intent(
        &self,
        patience: &Patience,
        account: &Account<'_>,
        entry: &AccountEntry,
    ) -> Result<(), ProvisioningError> {
        let action = format!("look at the versions of {}", account.entry.path());
        let mut intents = Vec::new();
        for version in &entry.intent_versions {
            let reading = || account.entry.read_version(*version);
            let held = patience.insist(&action, reading).await?;
            // In an entry that was copied the numbers may be those of anything.
            if matches!(Record::of(held), Record::Intent(_)) {
                intents.push(*version);
            }
        }
        self.destroy(patience, account, &intents).await
    }

    /// Ends a session that nobody needs.
    pub(crate) async fn end(&self, session: Option<Box<Session>>) {
        if let Some(session) = session {
            self.forget(&session.access_token).await;
        }
    }

    /// Logs a token out that is thrown away. That it fails matters to nobody.
    pub(crate) async fn forget(&self, token: &AccessToken) {
        let patience = Patience::new(FAREWELL);
        let _ = patience.insist("log out", || self.homeserver.log_out(token)).await;
    }
}
