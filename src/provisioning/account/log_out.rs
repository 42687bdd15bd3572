//! Ends the session of a token, wherever it was opened.

use super::super::error::{ErrorKind, ProvisioningError};
use super::super::mas_access::MasAccess;
use super::super::retry::retry;
use super::login_service::LoginService;
use crate::homeserver::mas::{
    Introspection, PersonalSession, PersonalSessionFilter, SessionPurpose,
};
use crate::homeserver::{AccessToken, Homeserver, LoginEndpoint};
use crate::retry::Deadline;

/// Who may end sessions of a homeserver.
#[derive(Clone, Copy)]
pub struct LogOut<'a> {
    /// The homeserver.
    pub homeserver: &'a Homeserver,
    /// Who serves logouts there.
    pub service: &'a LoginService,
    /// The admin API of Matrix Authentication Service, for sessions that were opened by it.
    pub mas: Option<&'a MasAccess>,
}

impl LogOut<'_> {
    /// Ends the session of a token. A dead token is none to end.
    ///
    /// # Errors
    /// When nobody serves that, and what kept a server from answering.
    pub async fn log_out(
        &self,
        token: &AccessToken,
        deadline: Deadline,
    ) -> Result<(), ProvisioningError> {
        let endpoint = self.service.endpoint(self.homeserver, deadline).await?;
        let log_out = || self.homeserver.log_out_at(endpoint, token);
        let result = ignore_dead_token(retry(deadline, "log out", log_out).await);
        match (endpoint, result) {
            (LoginEndpoint::Module, Err(error)) if error.status == Some(404) => {
                self.revoke(token, deadline).await
            }
            (_, result) => result,
        }
    }

    /// Ends the session by the admin API that opened it.
    async fn revoke(
        &self,
        token: &AccessToken,
        deadline: Deadline,
    ) -> Result<(), ProvisioningError> {
        let Some(mas) = self.mas else {
            let message = "cannot log out: the module serves no logouts, and Matrix Authentication \
                           Service takes those of its own sessions alone";
            return Err(ProvisioningError::new(ErrorKind::Homeserver, message).advise(
                "set mas in the module's configuration, or give mas_admin_api, mas_client_id and \
                 mas_client_secret_file",
            ));
        };
        let client = mas.client(self.service, self.homeserver, deadline).await?;
        let action = "log out";
        let found = retry(deadline, action, || client.introspect(token)).await?;
        let Introspection::Active { client_id, user_id: Some(user), device_id } = found else {
            return Ok(());
        };
        if client_id.as_ref() != Some(client.client_id()) {
            let message = "cannot log out: the token is that of another client";
            return Err(ProvisioningError::new(ErrorKind::Homeserver, message)
                .advise("end the session where it was opened"));
        }
        let list = || client.personal_sessions(&user, PersonalSessionFilter::Active);
        let mut sessions = retry(deadline, action, list).await?;
        sessions.retain(|session| {
            session.owner_client_id.as_ref() == Some(client.client_id())
                && session.device_id() == device_id.as_deref()
        });
        // A token that is kept goes on working when another one of its device is logged out.
        let is_kept = |session: &PersonalSession| session.purpose() == Some(SessionPurpose::Kept);
        if !sessions.iter().all(is_kept) {
            sessions.retain(|session| !is_kept(session));
        }
        for session in sessions {
            retry(deadline, action, || client.revoke_personal_session(&session.id)).await?;
        }
        Ok(())
    }
}

/// Takes a dead token for success: it was alive a moment ago, so a request whose answer got lost
/// has ended it.
pub fn ignore_dead_token(result: Result<(), ProvisioningError>) -> Result<(), ProvisioningError> {
    match result {
        Err(error) if error.errcode.as_deref() == Some("M_UNKNOWN_TOKEN") => Ok(()),
        result => result,
    }
}
