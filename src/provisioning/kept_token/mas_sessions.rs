//! The kept sessions of a device at Matrix Authentication Service (MAS).
//!
//! Only the admin API can open and end them. They are marked as kept, so that no login ends them.

use std::time::Duration;

use super::super::account::mas_account::MasAccount;
use super::super::error::ProvisioningError;
use crate::homeserver::AccessToken;
use crate::homeserver::mas::{
    CreatedSession, DeviceId, PersonalSessionFilter, SessionPurpose, Ulid, User,
};

/// The name of a kept session whose device has none.
const LABEL: &str = "synapse-vault token";

/// A user and a device that sessions can be opened for.
pub struct MasDevice<'a> {
    mas: &'a MasAccount<'a>,
    user: User,
    device: DeviceId,
}

impl<'a> MasDevice<'a> {
    /// Looks whether a session can be opened on a device; changes nothing.
    ///
    /// # Errors
    /// When the account cannot be used, the device is another client's or cannot be one, and what
    /// kept MAS from answering.
    pub async fn find(
        mas: &'a MasAccount<'a>,
        device_id: Option<&str>,
    ) -> Result<Self, ProvisioningError> {
        let user = mas.usable().await?;
        let device = mas.device(&user, device_id).await?;
        Ok(Self { mas, user, device })
    }

    /// Refuses a device that another entry has a token of: one of the two would end the other's
    /// session.
    ///
    /// # Errors
    /// When there is a kept session on it, and what kept MAS from answering.
    pub async fn refuse_kept(&self) -> Result<(), ProvisioningError> {
        let client = self.mas.client().await?;
        let action = format!("list the sessions on the device {}", self.device);
        let filter = PersonalSessionFilter::OnDevice(&self.device);
        let list = || client.personal_sessions(&self.user.id, filter);
        let found = self.mas.retry(&action, list).await?;
        if found.iter().all(|session| session.purpose() != Some(SessionPurpose::Kept)) {
            return Ok(());
        }
        let message = format!("a token of the device {} is kept elsewhere", self.device);
        Err(ProvisioningError::of_key("device_id", message)
            .advise("give each entry a device of its own, or revoke the session first"))
    }

    /// The device's id.
    pub fn id(&self) -> &str {
        self.device.as_str()
    }

    /// Opens a session whose token ends after `lifetime`.
    ///
    /// # Errors
    /// What MAS has against it.
    pub async fn open(
        &self,
        name: Option<&str>,
        lifetime: Option<Duration>,
    ) -> Result<CreatedSession, ProvisioningError> {
        let label = name.unwrap_or(LABEL);
        self.mas
            .create_session(&self.user, &self.device, label, SessionPurpose::Kept, lifetime)
            .await
    }

    /// Gives the device the name that is wanted, as far as a homeserver takes it.
    ///
    /// # Errors
    /// What the homeserver has against it.
    pub async fn rename(
        &self,
        token: &AccessToken,
        name: Option<&str>,
    ) -> Result<(), ProvisioningError> {
        self.mas.name_device(token, &self.device, name).await
    }

    /// Ends a session whose token nobody gets. What fails here is ended by the next run that opens a
    /// session.
    pub async fn forget(&self, session_id: &Ulid) {
        self.mas.forget_session(session_id).await;
    }

    /// The sessions that had the device before this one: `former`, if the entry names it, older kept
    /// sessions, also those that a killed run has left, and sessions from before MAS.
    ///
    /// Sessions that are newer may be those of a run that is at work. Which are is told by their ids,
    /// and so by the clock of MAS, which may have been set back since `former` was opened.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn before(
        &self,
        session_id: &Ulid,
        former: Option<&str>,
    ) -> Result<Vec<Earlier>, ProvisioningError> {
        let client = self.mas.client().await?;
        let (user, device) = (&self.user.id, &self.device);
        let action = format!("list the sessions on the device {device}");
        let filter = PersonalSessionFilter::OnDevice(device);
        let list = || client.personal_sessions(user, filter);
        let kept = self.mas.retry(&action, list).await?.into_iter().filter_map(|session| {
            let is_former = session.id != *session_id && Some(session.id.as_str()) == former;
            let is_earlier = session.id < *session_id || is_former;
            let is_kept = session.purpose() == Some(SessionPurpose::Kept);
            (is_earlier && is_kept).then_some(Earlier::Kept(session.id))
        });
        let list = || client.compat_sessions(user, true);
        let compat = self.mas.retry(&action, list).await?.into_iter().filter_map(|session| {
            let is_here = session.attributes.device_id.as_deref() == Some(device.as_str());
            is_here.then_some(Earlier::Compat(session.id))
        });
        Ok(kept.chain(compat).collect())
    }

    /// Ends a session, which may have ended.
    ///
    /// # Errors
    /// What kept MAS from ending it.
    pub async fn end(&self, session: &Earlier) -> Result<(), ProvisioningError> {
        let client = self.mas.client().await?;
        let action = format!("end the session {}", session.id());
        match session {
            Earlier::Kept(id) => {
                self.mas.retry(&action, || client.revoke_personal_session(id)).await
            }
            Earlier::Compat(id) => {
                self.mas.retry(&action, || client.finish_compat_session(id)).await
            }
        }
    }
}

/// A session that has the device still.
pub enum Earlier {
    /// A personal session that is marked as kept.
    Kept(Ulid),
    /// One from before MAS.
    Compat(Ulid),
}

impl Earlier {
    /// Its id.
    pub fn id(&self) -> &Ulid {
        match self {
            Self::Kept(id) | Self::Compat(id) => id,
        }
    }
}
