//! Opens the session that follows the kept one, on the same device, and writes its token.
//!
//! The entry says first that this is about to be done. So two runs do not open sessions at the same
//! time, and a run that was killed has left the device in the entry.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use super::super::account::sessions::{Freshness, LoginOptions};
use super::super::error::{ErrorKind, ProvisioningError};
use super::keep::Keeper;
use super::kept_entry::KeptEntry;
use super::kept_store::Seen;
use super::mas_sessions::{Earlier, MasDevice};
use crate::homeserver::AccessToken;
use crate::homeserver::mas::{Timestamp, Ulid};
use crate::random::new_device_id;

/// Who opens sessions.
enum Opener<'a> {
    /// The homeserver, for the secret in Vault.
    Login(SecretString),
    /// MAS, for the client of its admin API.
    Mas(Box<MasDevice<'a>>),
}

/// A session that was opened.
struct Opened {
    access_token: AccessToken,
    device_id: String,
    end: Option<SystemTime>,
    session_id: Option<Ulid>,
}

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
        let wanted = seen.entry.device_id.as_ref().or(self.options.device_id.as_ref());
        let mas = self.operation.sessions.at_mas("to keep a token").await?;
        let (opener, device_id) = if let Some(mas) = mas {
            let device = MasDevice::find(mas, wanted.map(String::as_str)).await?;
            if wanted.is_some() && !seen.entry.has_kept() {
                device.refuse_kept().await?;
            }
            let id = device.id().to_owned();
            (Opener::Mas(Box::new(device)), id)
        } else {
            self.refuse_lifetime()?;
            let id = wanted.map_or_else(new_device_id, |wanted| Ok(wanted.clone()))?;
            (Opener::Login(secret), id)
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
        let session = match self.open(&opener, device_id, claim.written).await {
            Ok(session) => session,
            Err(error) => {
                // What may have been done is left for the next run to finish.
                if error.is_refusal() {
                    if self.store.read().await?.version != claim.version {
                        // Who took this run for a killed one has ended its session.
                        return Ok(None);
                    }
                    self.withdraw(&claim, former).await;
                }
                return Err(error);
            }
        };
        let earlier = match (&opener, &session.session_id) {
            (Opener::Mas(device), Some(id)) => {
                device.before(id, former.session_id.as_deref()).await?
            }
            _ => Vec::new(),
        };
        // A program may have the token of a session from before MAS, although no entry has it.
        let is_compat = |session: &Earlier| matches!(session, Earlier::Compat(_));
        let has_earlier = (former.access_token.is_some() && works) || earlier.iter().any(is_compat);
        let next = KeptEntry {
            device_id: Some(session.device_id.clone()),
            access_token: Some(session.access_token.secret().clone()),
            expires_at: session.end.map(|end| humantime::format_rfc3339_seconds(end).to_string()),
            session_id: session.session_id.as_ref().map(Ulid::to_string),
            earlier_session_id: newest(&earlier, former.session_id.as_deref())
                .filter(|_| has_earlier),
            renewal: None,
            ..claim.entry.clone()
        };
        let Some(written) = self.store.write(next, claim.version).await? else {
            let newest = self.store.read().await?;
            if newest.entry.has_token(&session.access_token) {
                // The answer to our write was lost, and others have written since.
                return Ok(Some(newest));
            }
            let id = session.session_id.as_ref().map(Ulid::as_str);
            if id.is_none() || newest.entry.earlier_session_id.as_deref() != id {
                self.warnings.extend(give_up(&opener, session).await);
            }
            return Ok(None);
        };
        match &opener {
            Opener::Login(_) if has_earlier => self.warnings.push(still_works(&former)),
            // What killed runs have left: no program has these tokens.
            Opener::Mas(device) if !has_earlier => {
                for session in &earlier {
                    device.end(session).await?;
                }
            }
            _ => {}
        }
        Ok(Some(written))
    }

    /// Opens a session, and makes sure that its token works before it takes the place of another.
    async fn open(
        &self,
        opener: &Opener<'_>,
        device_id: String,
        now: Option<SystemTime>,
    ) -> Result<Opened, ProvisioningError> {
        match opener {
            Opener::Login(secret) => self.log_in(secret, device_id, now).await,
            Opener::Mas(device) => self.open_at_mas(device, device_id).await,
        }
    }

    async fn open_at_mas(
        &self,
        device: &MasDevice<'_>,
        device_id: String,
    ) -> Result<Opened, ProvisioningError> {
        let name = self.options.device_name.as_deref();
        let lifetime = self.options.lifetime.or(self.default_lifetime);
        let created = device.open(name, lifetime).await?;
        let remote = &self.operation.remote;
        let token = &created.access_token;
        let action = "see whether the new token works";
        let owner = remote.retry(action, || remote.homeserver.who_am_i(token)).await;
        let checked = match owner {
            Ok(owner) if owner == remote.id() => device.rename(token, name).await,
            Ok(owner) => Err(ProvisioningError::new(
                ErrorKind::Homeserver,
                format!("the new token is that of {}", crate::text::quote(&owner)),
            )),
            Err(error) if error.is_refusal() => Err(error.advise(
                "the account may be locked at the homeserver; or the homeserver belongs to another \
                 Matrix Authentication Service",
            )),
            Err(error) => Err(error),
        };
        if let Err(error) = checked {
            device.forget(&created.session.id).await;
            return Err(error);
        }
        Ok(Opened {
            device_id,
            end: created.session.expires_at.as_ref().map(Timestamp::time),
            session_id: Some(created.session.id),
            access_token: created.access_token,
        })
    }

    async fn log_in(
        &self,
        secret: &SecretString,
        device_id: String,
        now: Option<SystemTime>,
    ) -> Result<Opened, ProvisioningError> {
        let options = LoginOptions {
            device_id: Some(device_id),
            device_name: self.options.device_name.clone(),
            logout_others: false,
        };
        let session = self.operation.sessions.log_in(secret, &options, Freshness::Old).await?;
        // The time began after the claim was written.
        let end = |time: Duration| now.unwrap_or_else(SystemTime::now).checked_add(time);
        Ok(Opened {
            end: session.expires_in.and_then(end),
            access_token: session.access_token,
            device_id: session.device_id,
            session_id: None,
        })
    }

    /// Takes back that a session is about to be opened. Nothing depends on it.
    async fn withdraw(&self, claim: &Seen, former: KeptEntry) {
        if former.device_id.is_none() && former.access_token.is_none() {
            let _ = self.store.destroy(claim.version).await;
        } else {
            let unclaimed = KeptEntry { renewal: None, ..former };
            let _ = self.store.write(unclaimed, claim.version).await;
        }
    }

    /// Refuses a lifetime where it would have no effect.
    fn refuse_lifetime(&self) -> Result<(), ProvisioningError> {
        if self.options.lifetime.is_none() {
            return Ok(());
        }
        Err(ProvisioningError::of_key(
            "lifetime",
            "only Matrix Authentication Service takes one: here the homeserver decides how long \
             tokens live (nonrefreshable_access_token_lifetime)",
        ))
    }
}

/// Ends a session for which another run has kept one meanwhile, or says that it goes on.
async fn give_up(opener: &Opener<'_>, session: Opened) -> Option<String> {
    if let (Opener::Mas(device), Some(id)) = (opener, session.session_id) {
        device.forget(&id).await;
        return None;
    }
    Some(
        "another run was faster: a token that nobody has goes on working beside the kept one, as the \
         homeserver can end a token only with its device"
            .to_owned(),
    )
}

/// Which of the earlier sessions the entry names: the one that it had, if that is there still.
fn newest(earlier: &[Earlier], former: Option<&str>) -> Option<String> {
    let ids = || earlier.iter().map(|session| session.id().as_str());
    ids().find(|id| Some(*id) == former).or_else(|| ids().max()).map(str::to_owned)
}

/// The warning that a replaced token goes on working.
fn still_works(former: &KeptEntry) -> String {
    let (until, advice) = match &former.expires_at {
        Some(end) => (format!("until {end}, when it ends by itself"), ""),
        None => (
            "and has no end".to_owned(),
            "; limit the lifetime of tokens in homeserver.yaml (nonrefreshable_access_token_lifetime), \
             or end the device to end its tokens",
        ),
    };
    format!(
        "the earlier token goes on working {until}: without Matrix Authentication Service the \
         homeserver can end a token only with its device and the encryption keys of that{advice}"
    )
}
