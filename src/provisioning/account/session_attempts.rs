//! The attempts to open one session at Matrix Authentication Service (MAS), and the sessions that
//! lost answers leave.

use std::time::Duration;

use super::super::error::ProvisioningError;
use super::super::retry::{backoff, retry};
use crate::homeserver::mas::{
    CreatedSession, DeviceId, MasClient, MasError, NewPersonalSession, PersonalSessionFilter,
    Scope, SessionName, SessionPurpose, Ulid,
};
use crate::retry::{Deadline, Transient};

/// How long it may take to end what a lost answer left, whatever time its verb has left.
const ENDING_LIMIT: Duration = Duration::from_secs(5);

/// A session that is to be opened.
pub struct SessionAttempts<'a> {
    /// MAS.
    pub client: &'a MasClient,
    /// As whom it acts.
    pub user: &'a Ulid,
    /// Its device.
    pub device: &'a DeviceId,
    /// What people call it.
    pub label: &'a str,
    /// What it is for.
    pub purpose: SessionPurpose,
    /// How long its token works, in seconds; `None` for one without an end.
    pub expires_in: Option<u32>,
    /// The time that there is.
    pub deadline: Deadline,
}

impl SessionAttempts<'_> {
    /// Opens the session, and ends what lost answers have left. `action` says what is wanted.
    ///
    /// # Errors
    /// What MAS has against it.
    pub async fn open(&self, action: &str) -> Result<CreatedSession, ProvisioningError> {
        let scope = Scope::of_client(self.device.clone());
        let mut lost = Vec::new();
        let mut backoff = backoff();
        loop {
            let name = SessionName::new(self.label, self.purpose)?;
            let new = NewPersonalSession {
                actor: self.user,
                name: &name,
                scope: &scope,
                expires_in: self.expires_in,
            };
            let error = match self.client.create_personal_session(&new).await {
                Ok(created) => {
                    // What came late is there by now.
                    self.end_lost(&mut lost).await;
                    return Ok(created);
                }
                Err(error) => error,
            };
            if error.may_have_applied() {
                lost.push(name);
            }
            let wait = backoff.next_wait().max(error.retry_after().unwrap_or_default());
            if !error.is_transient() || wait >= self.deadline.left() {
                self.end_lost(&mut lost).await;
                return Err(of_creation(&error, action));
            }
            // If MAS does not say now, it is asked again later.
            let _ = self.end_those_found(&mut lost).await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Ends the sessions of lost answers. Nothing depends on whether that succeeds.
    async fn end_lost(&self, lost: &mut Vec<SessionName>) {
        let deadline = Deadline::after(ENDING_LIMIT.max(self.deadline.left()));
        let lost = tokio::sync::Mutex::new(lost);
        let end = async || {
            let mut lost = lost.lock().await;
            self.end_those_found(&mut lost).await
        };
        let _ = retry(deadline, "end what a lost answer left", end).await;
    }

    /// Ends the sessions of these names that there are now, and takes those names off the list.
    async fn end_those_found(&self, lost: &mut Vec<SessionName>) -> Result<(), MasError> {
        if lost.is_empty() {
            return Ok(());
        }
        let on_device = PersonalSessionFilter::OnDevice(self.device);
        for session in self.client.personal_sessions(self.user, on_device).await? {
            let marked = lost.iter().position(|name| name.marks(&session.human_name));
            if let Some(place) = marked {
                self.client.revoke_personal_session(&session.id).await?;
                lost.swap_remove(place);
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

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use serde_json::json;

    use super::*;
    use crate::homeserver::mas::fake::{FakeMas, Fault};

    const SESSIONS: &str = "/personal-sessions";
    const TIMEOUT: Duration = Duration::from_secs(20);

    async fn open(mas: &FakeMas) -> Result<CreatedSession, ProvisioningError> {
        let user = Ulid::parse(&mas.add_user("alice", &json!({}))).unwrap();
        let device = DeviceId::parse("ABCDEFGHIJ", false).unwrap();
        let attempts = SessionAttempts {
            client: &mas.client(),
            user: &user,
            device: &device,
            label: "Bot",
            purpose: SessionPurpose::Kept,
            expires_in: None,
            deadline: Deadline::after(TIMEOUT),
        };
        attempts.open("log in").await
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_appears_during_the_next_attempt_is_ended() {
        let mas = FakeMas::new();
        let late = Fault::Late(Duration::from_secs(9));
        mas.fail(Method::POST, SESSIONS, [late, Fault::Slow(Duration::from_millis(4900))]);
        let created = open(&mas).await.unwrap();
        assert_eq!(mas.personal_sessions(), [created.session.human_name]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_fails_once_ends_no_attempts() {
        let mas = FakeMas::new();
        mas.fail(Method::POST, SESSIONS, [Fault::AnswerLost]);
        mas.fail(Method::GET, SESSIONS, [Fault::Answer(400, json!({"errors": []}))]);
        let created = open(&mas).await.unwrap();
        assert_eq!(mas.personal_sessions(), [created.session.human_name]);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_to_the_end_leave_nothing() {
        let mas = FakeMas::new();
        mas.fail_for_ever(Method::POST, SESSIONS, &Fault::AnswerLost);
        mas.fail(Method::GET, SESSIONS, vec![Fault::Text(502, ""); 3]);
        open(&mas).await.unwrap_err();
        assert_eq!(mas.personal_sessions(), Vec::<String>::new());
    }
}
