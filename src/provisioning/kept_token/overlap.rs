//! Ends what had the device before, once the program has had time to take the new token.
//!
//! The entry says that this is left to do. So a run that is interrupted while it waits has lost
//! nothing: the next one waits for what is left of the time, and does it.

use std::time::Duration;

use super::super::error::ProvisioningError;
use super::keep::Keeper;
use super::kept_entry::KeptEntry;
use super::kept_store::Seen;
use super::mas_sessions::MasDevice;
use crate::homeserver::mas::Ulid;

impl Keeper<'_> {
    /// For how long the earlier session is to go on.
    pub(super) fn overlap_left(&self, seen: &Seen) -> Duration {
        self.options.overlap.saturating_sub(seen.age().unwrap_or_default())
    }

    /// Ends the sessions on the device that are older than the kept one, and notes that in the
    /// entry. The time for it must be over, since `awaited` was written. If another run has
    /// replaced that token meanwhile, it ends nothing: the program needs as much time again.
    ///
    /// # Errors
    /// What a server has against it.
    pub(super) async fn end_earlier(&self, awaited: &Seen) -> Result<Seen, ProvisioningError> {
        let (seen, _) = self.store.read_settled().await?;
        if seen.entry.session_id != awaited.entry.session_id {
            return Ok(seen);
        }
        let KeptEntry { device_id, session_id, earlier_session_id, .. } = &seen.entry;
        let session_id = session_id.as_deref().and_then(|id| Ulid::parse(id).ok());
        let (Some(device_id), Some(id), Some(earlier)) =
            (device_id, session_id, earlier_session_id)
        else {
            // Another run has ended them.
            return Ok(seen);
        };
        if let Some(mas) = self.operation.sessions.at_mas("to end the earlier session").await? {
            let device = MasDevice::find(mas, Some(device_id)).await?;
            for session in device.before(&id, Some(earlier)).await? {
                device.end(&session).await?;
            }
        }
        let alone = KeptEntry { earlier_session_id: None, ..seen.entry.clone() };
        match self.store.write(alone, seen.version).await? {
            Some(written) => Ok(written),
            None => self.store.read_settled().await.map(|(seen, _)| seen),
        }
    }
}
