//! Opening one session, from the account to the session's token.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::account::{self, AccountRefusal};
use super::device::{Holders, Replaced, holders};
use super::event::{OpenResult, OpenedSession};
use super::expired;
use super::failure::Failure;
use super::logins::{MasLogins, SessionRequest, backoff};
use super::lost::{Lost, end_those_found};
use super::turns::UserTurn;
use crate::homeserver::mas::{
    CreatedSession, DeviceId, MasError, NewPersonalSession, Scope, SessionName, SessionPurpose,
    User,
};
use crate::login::outcome::Code;
use crate::random::RandomError;
use crate::retry::{Deadline, Transient, retry};
use crate::user_id::UserId;

/// The name of a session for which its client gives none.
const UNNAMED: &str = "Login with a secret from Vault";

/// How long a login waits for the end of the sessions that it replaces.
const CLEANING_AWAITED: Duration = Duration::from_secs(2);

/// How long it is tried to end them.
const CLEANING_TIME: Duration = Duration::from_secs(60);

/// What is left to do once a session is there.
struct Opened {
    user: User,
    device: DeviceId,
    replaced: Replaced,
    /// The attempts before, whose answers were lost.
    lost: Vec<SessionName>,
    created: CreatedSession,
}

/// Why there is no session.
enum Refusal {
    /// MAS has not done it.
    Failure(Failure),
    /// The account is not to be used.
    Account(AccountRefusal),
    /// The client must not ask for this.
    BadRequest(String),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The account at MAS, if it may log in.
async fn account_of(
    logins: &MasLogins,
    user_id: &UserId,
    deadline: Deadline,
) -> Result<User, Refusal> {
    let look_up = || logins.client.user_by_localpart(user_id.localpart());
    let found = retry(deadline, backoff(), look_up).await.map_err(Failure::from)?;
    account::usable(found).map_err(Refusal::Account)
}

/// Opens a session for a login that was accepted.
pub async fn open(logins: &Arc<MasLogins>, number: u64, request: SessionRequest) -> OpenResult {
    let _under_way = logins.begin(number);
    let deadline = request.deadline;
    let outcome = &request.outcome;
    if deadline.left().is_zero() {
        let reason = "what came before took all of login_timeout";
        return OpenResult::without_session(outcome.becoming(Code::Timeout, reason));
    }
    match create(logins, &request).await {
        Ok(opened) => {
            let is_device_known =
                request.wishes.is_device_known && request.wishes.device_id.is_some();
            let session = session(logins, &request, &opened, is_device_known);
            let cleaning = tokio::spawn(clean_up(Arc::clone(logins), opened));
            if logins.is_abandoned(number) && !is_device_known {
                logins.end_in_background(vec![session.id.clone()]);
            }
            // What cannot be ended in time is ended in the background.
            let awaited_until = deadline.at().min(Instant::now() + CLEANING_AWAITED);
            let _ = timeout_at(awaited_until, cleaning).await;
            OpenResult { outcome: outcome.clone(), session: Some(session), client_error: None }
        }
        Err(Refusal::BadRequest(message)) => {
            OpenResult::bad_request(outcome, "M_INVALID_PARAM", message)
        }
        Err(Refusal::Account(refusal)) => OpenResult::without_session(refusal.outcome(outcome)),
        Err(Refusal::Failure(failure)) => OpenResult::without_session(failure.outcome(outcome)),
    }
}

async fn create(logins: &Arc<MasLogins>, request: &SessionRequest) -> Result<Opened, Refusal> {
    let deadline = request.deadline;
    let wishes = &request.wishes;
    let chosen = match &wishes.device_id {
        None => None,
        Some(text) => Some(
            DeviceId::parse(text, wishes.is_device_known)
                .map_err(|error| Refusal::BadRequest(error.to_string()))?,
        ),
    };
    let began = Instant::now();
    let turn = timeout_at(deadline.at(), logins.turns.of_user(&request.user_id)).await;
    let turn = turn.map_err(|_| Failure::Overloaded)?;
    let waited = began.elapsed();
    if logins.turns.is_too_late(waited, deadline) {
        return Err(Failure::Overloaded.into());
    }
    let user = account_of(logins, &request.user_id, deadline).await?;
    let (device, replaced) = match chosen {
        None => (DeviceId::random().map_err(unsent)?, Replaced::default()),
        Some(device) => match holders(&logins.client, &user, &device, deadline, backoff).await? {
            Holders::Replaced(replaced) => (device, replaced),
            Holders::Protected => {
                let message = "another client is logged in with this device_id".to_owned();
                return Err(Refusal::BadRequest(message));
            }
        },
    };
    let created = create_until(logins, request, &user, &device, turn).await;
    let (created, lost) = created.map_err(|failure| match failure {
        // Nothing failed: the turn came too late.
        Failure::TimedOut(None) if waited > deadline.limit() / 2 => Failure::Overloaded,
        failure => failure,
    })?;
    Ok(Opened { user, device, replaced, lost, created })
}

/// Has MAS open the session, and tries again after a transient error. Each attempt has a mark of
/// its own.
///
/// Returns the session, and the attempts before it whose answers were lost.
async fn create_until(
    logins: &Arc<MasLogins>,
    request: &SessionRequest,
    user: &User,
    device: &DeviceId,
    turn: UserTurn,
) -> Result<(CreatedSession, Vec<SessionName>), Failure> {
    let deadline = request.deadline;
    let scope = Scope::of_client(device.clone());
    let is_admin = logins.config.admin_scope && user.is_admin;
    let scope = if is_admin { scope.with_synapse_admin() } else { scope };
    let label = request.wishes.display_name.as_deref();
    let label = label.filter(|label| !label.trim().is_empty()).unwrap_or(UNNAMED);
    let turn = Arc::new(turn);
    let mut lost = Lost { user: user.id.clone(), device: device.clone(), names: Vec::new() };
    let mut waits = backoff();
    let mut failed = None;
    let failure = loop {
        let began = Instant::now();
        let Ok(permit) = timeout_at(deadline.at(), logins.turns.of_creation()).await else {
            break failed.map_or(Failure::Overloaded, |error| Failure::TimedOut(Some(error)));
        };
        if logins.turns.is_too_late(began.elapsed(), deadline) {
            break Failure::Overloaded;
        }
        let began = Instant::now();
        let name = match SessionName::new(label, SessionPurpose::Login) {
            Ok(name) => name,
            Err(error) => break unsent(error),
        };
        // It ends by itself even if nobody waits for it: only then is it known what it has left.
        let mut creating = tokio::spawn({
            let (logins, turn) = (Arc::clone(logins), Arc::clone(&turn));
            let (user, name, scope) = (user.id.clone(), name.clone(), scope.clone());
            async move {
                let _turns = (turn, permit);
                let expires_in = logins.expires_in();
                let new =
                    NewPersonalSession { actor: &user, name: &name, scope: &scope, expires_in };
                logins.client.create_personal_session(&new).await
            }
        });
        let error = match timeout_at(deadline.at(), &mut creating).await {
            Ok(Ok(Ok(created))) => {
                logins.turns.note(began.elapsed());
                return Ok((created, lost.names));
            }
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => {
                lost.names.push(name);
                break Failure::TimedOut(None);
            }
            Err(_) => {
                // Nobody waits any more for a session that may still come.
                lost.names.push(name);
                logins.lost.look_for_after(creating, lost);
                return Err(Failure::TimedOut(failed));
            }
        };
        if error.may_have_applied() {
            lost.names.push(name);
        }
        let wait = waits.next_wait().max(error.retry_after().unwrap_or_default());
        if !error.is_transient() || wait >= deadline.left() {
            break Failure::Failed(error);
        }
        failed = Some(error);
        sleep(wait).await;
    };
    logins.lost.look_for(lost);
    Err(failure)
}

fn session(
    logins: &MasLogins,
    request: &SessionRequest,
    opened: &Opened,
    is_device_known: bool,
) -> OpenedSession {
    let named = request.wishes.display_name.as_deref().map(SessionName::readable);
    OpenedSession {
        access_token: opened.created.access_token.clone(),
        device_id: opened.device.as_str().to_owned(),
        device_display_name: named.filter(|name| !is_device_known && !name.is_empty()),
        expires_in: logins.expires_in().map(|seconds| Duration::from_secs(seconds.into())),
        id: opened.created.session.id.clone(),
        is_device_known,
    }
}

/// Ends what the session replaces, and what is of no use any more. Ending again does no harm.
async fn clean_up(logins: Arc<MasLogins>, opened: Opened) {
    let Opened { user, device, replaced, lost, created } = opened;
    let deadline = Deadline::after(CLEANING_TIME);
    let client = &logins.client;
    let mut failed = None;
    for id in &replaced.personal {
        let ended = retry(deadline, backoff(), || client.revoke_personal_session(id)).await;
        failed = ended.err().or(failed);
    }
    for id in &replaced.compat {
        let ended = retry(deadline, backoff(), || client.finish_compat_session(id)).await;
        failed = ended.err().or(failed);
    }
    if let Some(error) = failed {
        logins.say_that_a_session_stays(&Failure::from(error));
    }
    let mut lost = Lost { user: user.id.clone(), device, names: lost };
    if !lost.names.is_empty() {
        let _ = end_those_found(client, &mut lost).await;
    }
    // If this fails, the next login does it.
    let _ = expired::end(client, &user.id, &lost.device, &created.session.created_at).await;
    logins.lost.look_for(lost);
}

fn unsent(error: RandomError) -> Failure {
    Failure::Failed(MasError::Unexpected { what: error.to_string(), may_have_applied: false })
}
