//! A session that Matrix Authentication Service (MAS) opens for an account by its admin API, where
//! the module serves no logins.

use super::super::error::ProvisioningError;
use super::super::retry::backoff;
use super::login_options::LoginOptions;
use super::mas_account::MasAccount;
use crate::homeserver::Session;
use crate::homeserver::mas::{
    CreatedSession, DeviceId, MasError, NewPersonalSession, PersonalSessionFilter, Scope,
    SessionName, SessionPurpose, Ulid, User,
};
use crate::retry::Transient;

/// What a session is called whose device has no name.
const LABEL: &str = "synapse-vault";

impl MasAccount<'_> {
    /// Opens a session as a login of the module would.
    ///
    /// # Errors
    /// When the account cannot be used, the device is another client's or cannot be one, and what
    /// kept MAS from answering.
    pub async fn open_session(&self, options: &LoginOptions) -> Result<Session, ProvisioningError> {
        let id = self.account.id();
        let (_, server_name) = id.split_once(':').unwrap_or_default();
        let user = self.existing().await?;
        let device = self.device(&user, options.device_id.as_deref()).await?;
        let label = options.device_name.as_deref().unwrap_or(LABEL);
        let purpose = SessionPurpose::Login;
        let created = self.create_session(&user, &device, label, purpose, None).await?;
        let CreatedSession { session, access_token } = created;
        if options.device_id.is_some() {
            self.end_earlier_sessions(&user, &device, &session.id).await?;
        }
        if let Some(name) = &options.device_name {
            let homeserver = self.account.homeserver;
            let rename = || homeserver.set_device_name(&access_token, device.as_str(), name);
            let action = format!("name the device of {id}");
            self.account.retry(&action, rename).await?;
        }
        Ok(Session {
            user_id: id.to_owned(),
            access_token,
            device_id: device.to_string(),
            home_server: server_name.to_owned(),
            expires_in: None,
        })
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
        let is_known =
            compat.iter().any(|session| session.attributes.device_id.as_deref() == Some(wanted));
        let device = DeviceId::parse(wanted, is_known).map_err(|error| {
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

    /// Creates a session, whose token ends after so many seconds; what a lost answer leaves is ended.
    ///
    /// # Errors
    /// What MAS has against it.
    pub async fn create_session(
        &self,
        user: &User,
        device: &DeviceId,
        label: &str,
        purpose: SessionPurpose,
        expires_in: Option<u32>,
    ) -> Result<CreatedSession, ProvisioningError> {
        let client = self.client().await?;
        let action = format!("log {} in", self.account.id());
        let scope = Scope::of_client(device.clone());
        let mut backoff = backoff();
        loop {
            let name = SessionName::new(label, purpose)?;
            let new =
                NewPersonalSession { actor: &user.id, name: &name, scope: &scope, expires_in };
            let error = match client.create_personal_session(&new).await {
                Ok(created) => return Ok(created),
                Err(error) => error,
            };
            if error.may_have_applied() {
                self.end_lost_session(user, device, &name).await?;
            }
            let wait = backoff.next_wait().max(error.retry_after().unwrap_or_default());
            if !error.is_transient() || wait >= self.account.deadline.left() {
                return Err(of_creation(&error, &action));
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn end_lost_session(
        &self,
        user: &User,
        device: &DeviceId,
        name: &SessionName,
    ) -> Result<(), ProvisioningError> {
        let client = self.client().await?;
        let action = format!("end what a lost answer left of {}", self.account.id());
        let filter = PersonalSessionFilter::OnDevice(device);
        let list = || client.personal_sessions(&user.id, filter);
        let found = self.retry(&action, list).await?;
        for session in found.iter().filter(|session| name.marks(&session.human_name)) {
            self.retry(&action, || client.revoke_personal_session(&session.id)).await?;
        }
        Ok(())
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
        for session in compat {
            if session.attributes.device_id.as_deref() == Some(device.as_str()) {
                self.retry(&action, || client.finish_compat_session(&session.id)).await?;
            }
        }
        let filter = PersonalSessionFilter::OnDevice(device);
        let personal = self.retry(&action, || client.personal_sessions(&user.id, filter)).await?;
        for session in personal {
            let is_of_login = session.purpose() == Some(SessionPurpose::Login);
            if is_of_login && session.id != *newest {
                self.retry(&action, || client.revoke_personal_session(&session.id)).await?;
            }
        }
        Ok(())
    }
}

/// MAS says by the status alone that nobody may use the account.
fn of_creation(error: &MasError, action: &str) -> ProvisioningError {
    let error_of_mas = ProvisioningError::of_mas(error, action);
    if error.status() == Some(410) {
        return ProvisioningError {
            errcode: Some("M_USER_DEACTIVATED".to_owned()),
            ..error_of_mas
        };
    }
    error_of_mas
}
