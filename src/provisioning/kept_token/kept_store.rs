//! Reads and writes the entry of a kept token, beside other runs that do so too.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::account::account_id::AccountId;
use super::super::account::entry_store::EntryStore;
use super::super::error::ProvisioningError;
use super::kept_entry::KeptEntry;
use super::place::Place;
use crate::retry::Deadline;
use crate::user_id::UserId;
use crate::vault::Written;

/// After this time a run that was about to open a session counts as killed. If it was not, its
/// write fails, and nothing else is lost than its own session.
const ABANDONED_AFTER: Duration = Duration::from_secs(3);

/// How often the entry is read until then.
const READ_EVERY: Duration = Duration::from_millis(200);

/// The entry of a kept token, and the time that there is for what is done with it.
pub struct KeptStore<'a> {
    account: AccountId,
    store: EntryStore<'a>,
}

/// The entry as it was when Vault was last asked.
pub struct Seen {
    /// What it holds; nothing for an entry that is not there.
    pub entry: KeptEntry,
    /// The version, which the next write has to name.
    pub version: u32,
    /// When that was written, by Vault's clock; `None` if there is none.
    pub written: Option<SystemTime>,
    /// What time it was then, by Vault's clock if it told.
    pub now: SystemTime,
    /// When Vault deletes the version by itself, as of RFC 3339.
    pub deletion_time: Option<String>,
}

impl Seen {
    /// How long ago the version was written; zero if it was in the very second.
    pub fn age(&self) -> Option<Duration> {
        self.written.map(|written| self.now.duration_since(written).unwrap_or_default())
    }

    /// An entry that was just written.
    pub fn of(entry: KeptEntry, written: Written) -> Self {
        let at = humantime::parse_rfc3339(&written.created_time).ok();
        Self {
            entry,
            version: written.version,
            written: at,
            now: at.unwrap_or_else(SystemTime::now),
            deletion_time: written.deletion_time,
        }
    }
}

impl<'a> KeptStore<'a> {
    /// The entry at a place, for a user.
    pub fn new(place: &'a Place, user_id: &UserId, deadline: Deadline) -> Self {
        let account = AccountId { user_id: user_id.clone(), path: place.path.clone() };
        let entry = place.kv.entry(place.below.clone());
        Self { store: EntryStore::new(account.clone(), entry, deadline), account }
    }

    /// Reads the entry.
    ///
    /// # Errors
    /// When Vault does not tell, and when the entry is for something else.
    pub async fn read(&self) -> Result<Seen, ProvisioningError> {
        let newest = self.store.read().await?;
        let AccountId { user_id, path } = &self.account;
        Ok(Seen {
            written: humantime::parse_rfc3339(&newest.created_time).ok(),
            now: newest
                .answered
                .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
                .unwrap_or_else(SystemTime::now),
            version: newest.version,
            deletion_time: newest.deletion_time,
            entry: KeptEntry::of(newest.fields.unwrap_or_default(), path, user_id.as_str())?,
        })
    }

    /// Reads the entry once no other run is about to replace the token. Also tells whether one was,
    /// and has done it.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub async fn read_settled(&self) -> Result<(Seen, bool), ProvisioningError> {
        let mut first: Option<(u32, Instant)> = None;
        loop {
            let seen = self.read().await?;
            if seen.entry.renewal.is_none() {
                return Ok((seen, first.is_some()));
            }
            let since = match first {
                Some((version, since)) if version == seen.version => since,
                _ => Instant::now(),
            };
            first = Some((seen.version, since));
            let age = seen.age().unwrap_or_default().max(since.elapsed());
            if age >= ABANDONED_AFTER {
                return Ok((seen, false));
            }
            tokio::time::sleep(READ_EVERY).await;
        }
    }

    /// Writes the version that follows `after`; `None` if another run has written one since.
    ///
    /// # Errors
    /// What Vault has against it.
    pub async fn write(
        &self,
        entry: KeptEntry,
        after: u32,
    ) -> Result<Option<Seen>, ProvisioningError> {
        let written = self.store.write(entry.fields(), after).await?;
        Ok(written.map(|written| Seen::of(entry, written)))
    }

    /// Destroys all versions before this one: they hold earlier tokens.
    ///
    /// # Errors
    /// What Vault has against it.
    pub async fn destroy_before(&self, version: u32) -> Result<(), ProvisioningError> {
        let before = version.saturating_sub(1);
        if before == 0 || !self.store.holds(before).await? {
            return Ok(());
        }
        self.store.destroy_through(before).await
    }

    /// Destroys one version.
    ///
    /// # Errors
    /// What Vault has against it.
    pub async fn destroy(&self, version: u32) -> Result<(), ProvisioningError> {
        self.store.destroy(&[version]).await
    }
}
