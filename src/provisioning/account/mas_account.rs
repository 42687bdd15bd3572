//! An account at Matrix Authentication Service (MAS), and its sessions there.

use futures_util::{StreamExt, TryStreamExt};

use super::super::error::{ErrorKind, ProvisioningError};
use super::super::mas_access::MasAccess;
use super::super::retry::retry;
use super::login_service::LoginService;
use super::remote_account::RemoteAccount;
use crate::homeserver::Dated;
use crate::homeserver::mas::{MasClient, MasError, PersonalSessionFilter, Trace, Ulid, User};
use crate::retry::Deadline;

/// How many sessions are ended at a time: MAS has ten connections to its database, for everybody.
const ENDED_AT_A_TIME: usize = 4;

/// How often sessions are listed and ended. If there are still some then, others keep opening them.
const MAX_ROUNDS: u32 = 5;

/// One account at MAS, by the client that may use its admin API.
#[derive(Clone)]
pub struct MasAccount<'a> {
    /// MAS.
    pub access: &'a MasAccess,
    /// Whether the homeserver leaves logins to it.
    pub service: &'a LoginService,
    /// The account on the homeserver, and the time that there is.
    pub account: RemoteAccount<'a>,
}

/// A session of any kind.
enum SessionId {
    Browser(Ulid),
    OAuth2(Ulid),
    Compat(Ulid),
    Personal(Ulid),
}

impl<'a> MasAccount<'a> {
    /// The client, once it is known that MAS and the homeserver belong together.
    ///
    /// # Errors
    /// As for [`MasAccess::client`].
    pub async fn client(&self) -> Result<&'a MasClient, ProvisioningError> {
        self.access.client(self.service, self.account.homeserver, self.account.deadline).await
    }

    /// Sends a request to MAS until it succeeds or fails for good. It must do no harm to send it
    /// twice.
    ///
    /// # Errors
    /// The last error. `action` says what was wanted, such as "create @a:b".
    pub async fn retry<T, F: Future<Output = Result<T, MasError>>>(
        &self,
        action: &str,
        request: impl FnMut() -> F,
    ) -> Result<T, ProvisioningError> {
        retry(self.account.deadline, action, request).await
    }

    /// The same account, with less time.
    #[must_use]
    pub fn until(&self, deadline: Deadline) -> Self {
        Self { account: RemoteAccount { deadline, ..self.account.clone() }, ..self.clone() }
    }

    /// The account, with MAS' clock; `None` if MAS has none of exactly this name.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn look_up(&self) -> Result<Dated<Option<User>>, ProvisioningError> {
        let (client, id) = (self.client().await?, self.account.id());
        let localpart = self.account.user_id.localpart();
        self.retry(&format!("look {id} up"), || client.look_up_user(localpart)).await
    }

    /// The account, which must exist.
    ///
    /// # Errors
    /// When there is none, and what kept MAS from answering.
    pub async fn existing(&self) -> Result<User, ProvisioningError> {
        let id = self.account.id();
        self.look_up().await?.value.ok_or_else(|| {
            let message = format!("Matrix Authentication Service has no account {id}");
            ProvisioningError {
                status: Some(404),
                ..ProvisioningError::new(ErrorKind::Homeserver, message)
            }
            .advise("provision the user first")
        })
    }

    /// The account, which must be one that can log in.
    ///
    /// # Errors
    /// When there is none or nobody may use it, and what kept MAS from answering.
    pub async fn usable(&self) -> Result<User, ProvisioningError> {
        let user = self.existing().await?;
        let (state, errcode, advice) = match &user {
            user if user.is_deactivated => ("deactivated", "M_USER_DEACTIVATED", "reactivate"),
            user if user.is_locked => ("locked", "M_USER_LOCKED", "unlock"),
            _ => return Ok(user),
        };
        let message = format!("cannot log {} in: the account is {state}", self.account.id());
        let errcode = Some(errcode.to_owned());
        Err(ProvisioningError { errcode, ..ProvisioningError::new(ErrorKind::Homeserver, message) }
            .advise(format!("{advice} the account at Matrix Authentication Service")))
    }

    /// What shows that somebody has used the account; `None` if nothing does.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn first_trace(&self, user: &User) -> Result<Option<Trace>, ProvisioningError> {
        let (client, id) = (self.client().await?, self.account.id());
        let action = format!("see whether somebody has used {id}");
        self.retry(&action, || client.first_trace(&user.id)).await
    }

    /// Ends the sessions of the account, of every kind, but for those on a device that is to stay.
    ///
    /// # Errors
    /// What kept MAS from ending them, and when others open them as fast.
    pub async fn end_sessions(
        &self,
        user: &User,
        spared_device: Option<&str>,
    ) -> Result<(), ProvisioningError> {
        let id = self.account.id();
        for _ in 0..MAX_ROUNDS {
            let sessions = self.active_sessions(user, spared_device).await?;
            if sessions.is_empty() {
                return Ok(());
            }
            futures_util::stream::iter(sessions)
                .map(|session| self.end_session(session))
                .buffer_unordered(ENDED_AT_A_TIME)
                .try_collect::<()>()
                .await?;
        }
        let message = format!("sessions of {id} are opened while they are ended");
        Err(ProvisioningError::new(ErrorKind::Conflict, message)
            .advise("find out who logs in, and try again"))
    }

    /// Browsers first: a person there approves others.
    async fn active_sessions(
        &self,
        user: &User,
        spared_device: Option<&str>,
    ) -> Result<Vec<SessionId>, ProvisioningError> {
        let (client, user) = (self.client().await?, &user.id);
        let action = format!("list the sessions of {}", self.account.id());
        let is_spared =
            |device: Option<&str>| spared_device.is_some_and(|spared| device == Some(spared));
        let browsers = self.retry(&action, || client.user_sessions(user)).await?;
        let oauth2 = self.retry(&action, || client.oauth2_sessions(user, true)).await?;
        let compat = self.retry(&action, || client.compat_sessions(user, true)).await?;
        let filter = PersonalSessionFilter::Active;
        let personal = self.retry(&action, || client.personal_sessions(user, filter)).await?;
        let mut sessions: Vec<SessionId> = browsers.into_iter().map(SessionId::Browser).collect();
        sessions.extend(
            oauth2
                .into_iter()
                .filter(|session| !is_spared(session.attributes.device_id()))
                .map(|session| SessionId::OAuth2(session.id)),
        );
        sessions.extend(
            compat
                .into_iter()
                .filter(|session| !is_spared(session.attributes.device_id.as_deref()))
                .map(|session| SessionId::Compat(session.id)),
        );
        sessions.extend(
            personal
                .into_iter()
                .filter(|session| !is_spared(session.device_id()))
                .map(|session| SessionId::Personal(session.id)),
        );
        Ok(sessions)
    }

    async fn end_session(&self, session: SessionId) -> Result<(), ProvisioningError> {
        let client = self.client().await?;
        let action = format!("end a session of {}", self.account.id());
        let result = match &session {
            SessionId::Browser(id) => self.retry(&action, || client.finish_user_session(id)).await,
            SessionId::OAuth2(id) => self.retry(&action, || client.finish_oauth2_session(id)).await,
            SessionId::Compat(id) => self.retry(&action, || client.finish_compat_session(id)).await,
            SessionId::Personal(id) => {
                self.retry(&action, || client.revoke_personal_session(id)).await
            }
        };
        match result {
            // MAS forgets sessions that have ended.
            Err(error) if error.status == Some(404) && error.advice.is_none() => Ok(()),
            result => result,
        }
    }
}
