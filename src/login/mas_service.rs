//! What is begun under Matrix Authentication Service: it runs on the service's threads, and comes out
//! with everything else.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use secrecy::SecretString;

use super::mas::{
    LogoutResult, MasEvent, MasLogins, OpenResult, OpenedSession, SessionRequest, SessionWishes,
    log_out, open, register,
};
use super::outcome::{Code, Outcome};
use super::service::{Event, LoginService, ServiceError};
use crate::homeserver::mas::PassedRequest;
use crate::process::ProcessLocal;
use crate::retry::Deadline;
use crate::user_id::UserId;

impl LoginService {
    /// Begins to open a session for a user whose token hash is right; what comes of it comes out of
    /// [`drain`](Self::drain) under `number`.
    ///
    /// `user_id` is the canonical id, and `outcome` how the login was decided. Returns what comes of it
    /// if nobody need be asked.
    ///
    /// # Errors
    /// When the process has forked since the start.
    pub fn begin_session(
        &self,
        number: u64,
        user_id: &str,
        outcome: &Outcome,
        wishes: SessionWishes,
        time_left: Duration,
    ) -> Result<Option<MasEvent>, ServiceError> {
        let user_id = match UserId::parse(user_id, self.server_name()) {
            Ok(user_id) => user_id,
            Err(error) => return Ok(Some(opened_none(error.into()))),
        };
        let deadline = Deadline::after(time_left);
        let request = SessionRequest { user_id, outcome: outcome.clone(), wishes, deadline };
        self.begin_mas(number, opening_failed(outcome), move |mas| async move {
            MasEvent::Opened(open(&mas, number, request).await)
        })
    }

    /// Begins to register a user whose token hash is right and whom the homeserver does not have.
    ///
    /// # Errors
    /// When the process has forked since the start.
    pub fn begin_registration(
        &self,
        number: u64,
        user_id: &str,
        outcome: &Outcome,
        time_left: Duration,
    ) -> Result<Option<MasEvent>, ServiceError> {
        let user_id = match UserId::parse(user_id, self.server_name()) {
            Ok(user_id) => user_id,
            Err(error) => return Ok(Some(opened_none(error.into()))),
        };
        let deadline = Deadline::after(time_left);
        let decided = outcome.clone();
        self.begin_mas(number, opening_failed(outcome), move |mas| async move {
            MasEvent::Opened(register(&mas, &user_id, &decided, deadline).await)
        })
    }

    /// Begins to end sessions that were opened here: those on the device of this token, or all of its
    /// user.
    ///
    /// # Errors
    /// When the process has forked since the start.
    pub fn begin_logout(
        &self,
        number: u64,
        access_token: SecretString,
        is_of_all: bool,
        time_left: Duration,
    ) -> Result<Option<MasEvent>, ServiceError> {
        let failed = |reason: &str| MasEvent::LoggedOut(LogoutResult::Unavailable(reason.into()));
        let deadline = Deadline::after(time_left);
        self.begin_mas(number, failed, move |mas| async move {
            MasEvent::LoggedOut(log_out(&mas, &access_token, is_of_all, deadline).await)
        })
    }

    /// Begins to pass a request on to where Matrix Authentication Service serves clients.
    ///
    /// # Errors
    /// When the process has forked since the start.
    pub fn begin_passing_on(
        &self,
        number: u64,
        request: PassedRequest,
    ) -> Result<Option<MasEvent>, ServiceError> {
        let failed = |reason: &str| MasEvent::PassedOn(Err(reason.into()));
        self.begin_mas(number, failed, move |mas| async move {
            MasEvent::PassedOn(mas.client.pass_on(request).await.map_err(|error| error.to_string()))
        })
    }

    /// Ends a session that its client will never know of: the one that is being opened under this
    /// number, or one that was. A device that was there before keeps its session: its client comes
    /// again, and must find it.
    pub fn abandon_session(&self, number: u64, session: Option<OpenedSession>) {
        self.if_running(|running| {
            let Some(mas) = running.mas.clone() else { return };
            running.runtime.spawn(async move { mas.abandon(number, session) });
        });
    }

    fn begin_mas<F: Future<Output = MasEvent> + Send>(
        &self,
        number: u64,
        failed: impl Fn(&str) -> MasEvent + Send + 'static,
        work: impl FnOnce(Arc<MasLogins>) -> F + Send + 'static,
    ) -> Result<Option<MasEvent>, ServiceError> {
        let running = self.running();
        let Some(running) = running.as_ref().map(ProcessLocal::get).transpose()? else {
            return Ok(Some(failed("the homeserver is starting or stopping")));
        };
        let Some(mas) = running.mas.clone() else {
            return Ok(Some(failed("mas is not configured")));
        };
        let completion_queue = Arc::clone(&running.completion_queue);
        running.runtime.spawn(async move {
            // Whatever happens, the homeserver waits for an answer.
            let working = AssertUnwindSafe(work(mas)).catch_unwind();
            let event = working
                .await
                .unwrap_or_else(|_| failed("the login service failed; please report this"));
            completion_queue.post(Event::Mas(number, event));
        });
        Ok(None)
    }
}

fn opened_none(outcome: Outcome) -> MasEvent {
    MasEvent::Opened(OpenResult::without_session(outcome))
}

fn opening_failed(outcome: &Outcome) -> impl Fn(&str) -> MasEvent + Send + use<> {
    let outcome = outcome.clone();
    move |reason| opened_none(outcome.becoming(Code::MasUnavailable, reason))
}
