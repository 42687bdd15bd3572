//! Opens the session that follows the kept one, on the same device, and writes its token.
//!
//! The entry says first that this is about to be done, and by which run. So two runs never open
//! sessions at the same time, and a run that was killed has left the device in the entry.

use std::time::{Duration, SystemTime};

use super::super::account::sessions::{Freshness, LoginOptions};
use super::super::error::ProvisioningError;
use super::keep::Keeper;
use super::kept_entry::KeptEntry;
use super::kept_store::Seen;
use crate::homeserver::Session;
use crate::random::new_device_id;

impl Keeper<'_> {
    /// Replaces the token that was seen; `None` if another run was faster. `works` says whether
    /// that token may still work.
    ///
    /// # Errors
    /// When there is no secret to log in with, and what a server refuses.
    pub(super) async fn replace(
        &mut self,
        seen: Seen,
        works: bool,
    ) -> Result<Option<Seen>, ProvisioningError> {
        let secret = self.operation.entry.secret().await?;
        let device_id = match seen.entry.device_id.as_ref().or(self.options.device_id.as_ref()) {
            Some(device_id) => device_id.clone(),
            None => new_device_id()?,
        };
        let former = seen.entry;
        let begun = KeptEntry {
            user_id: Some(self.operation.account.user_id.to_string()),
            device_id: Some(device_id.clone()),
            homeserver_url: Some(self.homeserver_url.clone()),
            renewal: Some(new_device_id()?),
            ..former.clone()
        };
        let Some(claim) = self.store.write(begun, seen.version).await? else { return Ok(None) };
        let options = LoginOptions {
            device_id: Some(device_id),
            device_name: self.options.device_name.clone(),
            logout_others: false,
        };
        let session = match self.operation.sessions.log_in(&secret, &options, Freshness::Old).await
        {
            Ok(session) => session,
            Err(error) => {
                // What may have been done is left for the next run to finish.
                if error.is_refusal() {
                    self.withdraw(&claim, former).await;
                }
                return Err(error);
            }
        };
        let earlier = former.access_token.is_some() && works;
        let next = kept(&claim, session);
        let Some(written) = self.store.write(next, claim.version).await? else {
            self.warnings.push(
                "another run was faster: a token that nobody has goes on working beside the kept \
                 one, as the homeserver can end a token only with its device"
                    .to_owned(),
            );
            return Ok(None);
        };
        if earlier {
            self.warnings.push(still_works(&former));
        }
        Ok(Some(written))
    }

    /// Takes back that a session is about to be opened. Nothing depends on it.
    async fn withdraw(&self, claim: &Seen, former: KeptEntry) {
        if former.device_id.is_none() {
            let _ = self.store.destroy(claim.version).await;
        } else {
            let unclaimed = KeptEntry { renewal: None, ..former };
            let _ = self.store.write(unclaimed, claim.version).await;
        }
    }
}

/// The entry with a new session, whose time began after the claim was written.
fn kept(claim: &Seen, session: Session) -> KeptEntry {
    let end = |time: Duration| claim.written.unwrap_or_else(SystemTime::now).checked_add(time);
    let expires_at = session.expires_in.and_then(end);
    KeptEntry {
        device_id: Some(session.device_id),
        access_token: Some(session.access_token.secret().clone()),
        expires_at: expires_at.map(|end| humantime::format_rfc3339_seconds(end).to_string()),
        session_id: None,
        renewal: None,
        ..claim.entry.clone()
    }
}

/// That a token goes on working which has been replaced.
fn still_works(former: &KeptEntry) -> String {
    let until = match &former.expires_at {
        Some(end) => format!("until {end}, when it ends by itself"),
        None => "and has no end".to_owned(),
    };
    let advice = match &former.expires_at {
        Some(_) => "",
        None => {
            "; limit the lifetime of tokens in homeserver.yaml (nonrefreshable_access_token_lifetime), \
             or end the device to end its tokens"
        }
    };
    format!(
        "the earlier token goes on working {until}: without Matrix Authentication Service the \
         homeserver can end a token only with its device and the encryption keys of that{advice}"
    )
}
