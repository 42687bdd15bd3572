//! A session that Matrix Authentication Service (MAS) opens for an account by its admin API, where
//! the module serves no logins.

use std::time::Duration;

use super::super::error::ProvisioningError;
use super::login_options::LoginOptions;
use super::mas_account::MasAccount;
use super::session_attempts::SessionAttempts;
use crate::homeserver::mas::{
    CreatedSession, DeviceId, PersonalSessionFilter, SessionName, SessionPurpose, Ulid, User,
};
use crate::homeserver::{AccessToken, Session};
use crate::retry::Deadline;

/// The name of a session whose device has none.
const LABEL: &str = "synapse-vault";

/// How long it may take to end a session that nobody needs, whatever time its verb has left.
const ENDING_LIMIT: Duration = Duration::from_secs(5);

impl MasAccount<'_> {
    /// Opens a session as a login of the module would.
    ///
    /// # Errors
    /// When the account cannot be used, the device is another client's or cannot be one, and what
    /// kept MAS from answering.
    pub async fn open_session(&self, options: &LoginOptions) -> Result<Session, ProvisioningError> {
        let id = self.account.id();
        let (_, server_name) = id.split_once(':').unwrap_or_default();
        let user = self.usable().await?;
        let device = self.device(&user, options.device_id.as_deref()).await?;
        let label = options.device_name.as_deref().unwrap_or(LABEL);
        let (purpose, lifetime) = (SessionPurpose::Login, self.access.session_lifetime);
        let created = self.create_session(&user, &device, label, purpose, lifetime).await?;
        if let Err(error) = self.settle(&user, &device, &created, options).await {
            self.forget_session(&created.session.id).await;
            return Err(error);
        }
        Ok(Session {
            user_id: id.to_owned(),
            access_token: created.access_token,
            device_id: device.to_string(),
            home_server: server_name.to_owned(),
            expires_in: created.session.expires_at.and(lifetime),
        })
    }

    /// What is left to do once the session exists. The sessions that had the device before are
    /// ended last: until then the new session can be ended without the device.
    async fn settle(
        &self,
        user: &User,
        device: &DeviceId,
        created: &CreatedSession,
        options: &LoginOptions,
    ) -> Result<(), ProvisioningError> {
        self.name_device(&created.access_token, device, options.device_name.as_deref()).await?;
        if options.device_id.is_some() {
            self.end_earlier_sessions(user, device, &created.session.id).await?;
        }
        Ok(())
    }

    /// The device that is wanted, or a new one. Devices from before MAS may have short ids.
    ///
    /// # Errors
    /// When the device is another client's or cannot be one, and what kept MAS from answering.
    pub async fn device(
        &self,
        user: &User,
        wanted: Option<&str>,
    ) -> Result<DeviceId, ProvisioningError> {
        let wrong = |message: String| ProvisioningError::of_key("device_id", message);
        let Some(wanted) = wanted else { return Ok(DeviceId::random()?) };
        let client = self.client().await?;
        let action = format!("list the sessions of {}", self.account.id());
        let compat = self.retry(&action, || client.compat_sessions(&user.id, false)).await?;
        let mut is_known =
            compat.iter().any(|session| session.attributes.device_id.as_deref() == Some(wanted));
        let parsed = match DeviceId::parse(wanted, true) {
            Ok(device) if !is_known && DeviceId::parse(wanted, false).is_err() => {
                // MAS forgets compatibility sessions a while after their end.
                let filter = PersonalSessionFilter::OnDevice(&device);
                let list = || client.personal_sessions(&user.id, filter);
                is_known = !self.retry(&action, list).await?.is_empty();
                DeviceId::parse(wanted, is_known)
            }
            parsed => parsed,
        };
        let device = parsed.map_err(|error| {
            wrong(error.to_string().trim_start_matches("device_id ").to_owned())
        })?;
        let ask = || client.has_oauth2_session_on(&user.id, &device);
        if self.retry(&action, ask).await? {
            return Err(wrong(format!(
                "a client that logged in at Matrix Authentication Service has the device {device}"
            )));
        }
        Ok(device)
    }

    /// Creates a session, whose token ends after this lifetime; what a lost answer leaves is ended.
    ///
    /// # Errors
    /// What MAS has against it.
    pub async fn create_session(
        &self,
        user: &User,
        device: &DeviceId,
        label: &str,
        purpose: SessionPurpose,
        lifetime: Option<Duration>,
    ) -> Result<CreatedSession, ProvisioningError> {
        let attempts = SessionAttempts {
            client: self.client().await?,
            user: &user.id,
            device,
            label,
            purpose,
            // More than a hundred years counts as without an end.
            expires_in: lifetime.and_then(|lifetime| u32::try_from(lifetime.as_secs()).ok()),
            deadline: self.account.deadline,
        };
        attempts.open(&format!("log {} in", self.account.id())).await
    }

    /// Gives a device the name that is wanted, as far as a homeserver takes it.
    ///
    /// # Errors
    /// What the homeserver has against it.
    pub async fn name_device(
        &self,
        token: &AccessToken,
        device: &DeviceId,
        name: Option<&str>,
    ) -> Result<(), ProvisioningError> {
        let name = name.map(SessionName::readable).filter(|name| !name.is_empty());
        let Some(name) = name else { return Ok(()) };
        let homeserver = self.account.homeserver;
        let rename = || homeserver.set_device_name(token, device.as_str(), &name);
        self.account.retry(&format!("name the device of {}", self.account.id()), rename).await
    }

    /// Ends a session whose token nobody gets. Nothing depends on whether that succeeds.
    pub async fn forget_session(&self, session: &Ulid) {
        let account = self.until(Deadline::after(ENDING_LIMIT));
        let Ok(client) = account.client().await else { return };
        let revoke = || client.revoke_personal_session(session);
        let _ = account.retry("end a session that nobody needs", revoke).await;
    }

    /// Ends what had the device before, as a login at MAS does; tokens that are kept stay.
    async fn end_earlier_sessions(
        &self,
        user: &User,
        device: &DeviceId,
        newest: &Ulid,
    ) -> Result<(), ProvisioningError> {
        let client = self.client().await?;
        let action = format!("end the earlier session on the device {device}");
        let compat = self.retry(&action, || client.compat_sessions(&user.id, true)).await?;
        let filter = PersonalSessionFilter::OnDevice(device);
        let personal = self.retry(&action, || client.personal_sessions(&user.id, filter)).await?;
        for session in compat {
            if session.attributes.device_id.as_deref() == Some(device.as_str()) {
                self.retry(&action, || client.finish_compat_session(&session.id)).await?;
            }
        }
        for session in personal {
            let is_of_login = session.purpose() == Some(SessionPurpose::Login);
            if is_of_login && session.id != *newest {
                self.retry(&action, || client.revoke_personal_session(&session.id)).await?;
            }
        }
        Ok(())
    }
}
