//! Ending the sessions that were opened here.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::device::is_ours;
use super::event::LogoutResult;
use super::failure::Failure;
use super::logins::{MasLogins, backoff};
use crate::homeserver::AccessToken;
use crate::homeserver::mas::{DeviceId, Introspection, PersonalSessionFilter, Ulid};
use crate::retry::{Deadline, retry};

/// How the tokens of personal sessions begin. No other token is shown to MAS.
const PERSONAL: &str = "mpt_";

/// Ends the sessions of ours on the device of this token, or all of its user.
pub async fn log_out(
    logins: &Arc<MasLogins>,
    token: &SecretString,
    is_of_all: bool,
    deadline: Deadline,
) -> LogoutResult {
    let token = match AccessToken::parse(token) {
        Ok(parsed) if parsed.secret().expose_secret().starts_with(PERSONAL) => parsed,
        _ => return LogoutResult::NotOurs,
    };
    match log_out_within(logins, &token, is_of_all, deadline).await {
        Ok(result) => result,
        Err(failure) => LogoutResult::Unavailable(failure.reason()),
    }
}

async fn log_out_within(
    logins: &Arc<MasLogins>,
    token: &AccessToken,
    is_of_all: bool,
    deadline: Deadline,
) -> Result<LogoutResult, Failure> {
    let client = &logins.client;
    let introspected = retry(deadline, backoff(), || client.introspect(token)).await?;
    let (user, device) = match introspected {
        Introspection::Inactive => return Ok(LogoutResult::UnknownToken),
        Introspection::Active { client_id: Some(owner), user_id: Some(user), device_id }
            if owner == *client.client_id() =>
        {
            (user, device_id)
        }
        Introspection::Active { .. } => return Ok(LogoutResult::NotOurs),
    };
    let ids = ours(logins, &user, device.as_deref().filter(|_| !is_of_all), is_of_all, deadline);
    let mut left = ids.await?.into_iter();
    while let Some(id) = left.next() {
        let revoked = retry(deadline, backoff(), || client.revoke_personal_session(&id)).await;
        if let Err(error) = revoked {
            // The token may have ended, so that no later request could ask for the others.
            logins.end_in_background(std::iter::once(id).chain(left).collect());
            return Err(error.into());
        }
    }
    Ok(LogoutResult::Done)
}

/// The sessions of a user that our client has opened: all, or those with this device.
async fn ours(
    logins: &MasLogins,
    user: &Ulid,
    device: Option<&str>,
    is_of_all: bool,
    deadline: Deadline,
) -> Result<Vec<Ulid>, Failure> {
    let client = &logins.client;
    let parsed = device.and_then(|device| DeviceId::parse(device, true).ok());
    let filter =
        parsed.as_ref().map_or(PersonalSessionFilter::Active, PersonalSessionFilter::OnDevice);
    let found = retry(deadline, backoff(), || client.personal_sessions(user, filter)).await?;
    let is_meant = found
        .into_iter()
        .filter(|session| is_ours(client, session) && (is_of_all || session.device_id() == device));
    Ok(is_meant.map(|session| session.id).collect())
}
