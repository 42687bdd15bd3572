//! Registering a user at MAS.

use std::sync::Arc;

use tokio::time::timeout_at;

use super::account;
use super::event::OpenResult;
use super::failure::Failure;
use super::logins::{MasLogins, backoff};
use crate::homeserver::mas::{MasError, NewUser, User};
use crate::login::outcome::{Code, Outcome};
use crate::retry::{Deadline, RetryError, retry};
use crate::user_id::UserId;

/// Registers a user whose token hash is right and whom the homeserver does not have.
pub async fn register(
    logins: &Arc<MasLogins>,
    user_id: &UserId,
    login: &Outcome,
    deadline: Deadline,
) -> OpenResult {
    let outcome = match register_within(logins, user_id, login, deadline).await {
        Ok(outcome) => outcome,
        Err(failure) => failure.outcome(login),
    };
    OpenResult::without_session(outcome)
}

async fn register_within(
    logins: &Arc<MasLogins>,
    user_id: &UserId,
    login: &Outcome,
    deadline: Deadline,
) -> Result<Outcome, Failure> {
    let turn = timeout_at(deadline.at(), logins.turns.of_user(user_id)).await;
    let _turn = turn.map_err(|_| Failure::Overloaded)?;
    let localpart = user_id.localpart();
    let client = &logins.client;
    let look_up = || client.user_by_localpart(localpart);
    if let Some(user) = retry(deadline, backoff(), look_up).await? {
        return Ok(registered_before(user, login));
    }
    let new = NewUser {
        username: localpart,
        display_name: login.display_name.as_deref(),
        ..NewUser::default()
    };
    match retry(deadline, backoff(), || client.create_user(&new)).await {
        // This alone says that nobody had the name.
        Ok(_) => Ok(login.clone()),
        Err(RetryError::Failed(error)) if is_refusal(&error) => {
            // Another login may have been first, or an answer of this one was lost.
            match retry(deadline, backoff(), look_up).await? {
                Some(user) => Ok(registered_before(user, login)),
                None => Ok(login.becoming(
                    Code::RegistrationRefused,
                    format!("the user is not registered: {error}"),
                )),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether MAS says that there will be no account of that name.
fn is_refusal(error: &MasError) -> bool {
    matches!(error.status(), Some(400 | 403 | 409 | 422))
}

fn registered_before(user: User, login: &Outcome) -> Outcome {
    match account::usable(Some(user)) {
        Ok(_) => login.registered_before(),
        Err(refusal) => refusal.outcome(login),
    }
}
