//! `static/LOCALPART/SERVER`: the one session of a user that stays.

use std::sync::Arc;

use synapse_vault_auth_provider_core::homeserver::AccessToken;

use super::parts::{LOCALPART_FIELD, SERVER_FIELD, USER, credentials};
use crate::backend::failure::is_unknown_token;
use crate::backend::{Mount, names, sessions};
use crate::framework::{Call, Outcome, Path, PathOperation, Pattern};
use crate::logical::{LogicalError, Operation, Response};
use crate::storage::{HeldSession, Purpose};

/// The one session of a user that stays.
pub static PATH: Path<Mount> = Path {
    pattern: Pattern { prefix: "static/", captures: USER },
    synopsis: "Get the access token of the one session of a user that stays.",
    description: "For bots that keep encryption keys with their device. The session is opened at \
                  the first read, and each read gives the same token, without a lease. If the \
                  session has ended, another one is opened on another device, with a warning. \
                  Deleting logs the session out.",
    fields: &[LOCALPART_FIELD, SERVER_FIELD],
    operations: &[
        PathOperation {
            operation: Operation::Read,
            summary: "Get the session, and open it if there is none.",
            handler: |mount, call| Box::pin(read(mount, call)),
        },
        PathOperation {
            operation: Operation::Delete,
            summary: "Log the session out.",
            handler: |mount, call| Box::pin(delete(mount, call)),
        },
    ],
    existence: None,
    is_root: false,
};

async fn read(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    // Before anything is read: what a standby reads may be old.
    mount.check_primary().await?;
    let one_at_a_time = mount.static_users.change(&user.id, sessions::CHANGE_TIME).await?;
    let kept = mount.store.static_session(&user.id).await?;
    let warning = match kept {
        None => None,
        Some(session) => match state(&mount, &session).await? {
            State::Open => return Ok(Some(Response::of(credentials(&session)))),
            State::Unknown(warning) => {
                return Ok(Some(Response::of(credentials(&session)).warn(warning)));
            }
            State::Ended => Some(format!(
                "the session on the device {} has ended; this is another one, on another device",
                session.device_id
            )),
        },
    };
    let opened = sessions::open(&mount, &user, Purpose::Static, Some(one_at_a_time)).await?;
    let mut response = Response::of(credentials(&opened.session));
    response.warnings.extend(warning);
    Ok(Some(response))
}

async fn delete(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    mount.check_primary().await?;
    let _one_at_a_time = mount.static_users.change(&user.id, sessions::CHANGE_TIME).await?;
    let warning = sessions::end_static(&mount, &user).await?;
    Ok(warning.map(|warning| Response::default().warn(warning)))
}

/// What is known of a session.
enum State {
    Open,
    Ended,
    /// The homeserver does not say, for this reason.
    Unknown(String),
}

async fn state(mount: &Mount, session: &HeldSession) -> Result<State, LogicalError> {
    let token = session.access_token.as_ref().map(AccessToken::parse);
    let Some(Ok(token)) = token else { return Ok(State::Ended) };
    let client = sessions::client_of(mount, &session.homeserver).await?;
    let unknown = |why: &str| State::Unknown(format!("the session may have ended: {why}"));
    if client.is_hanging() {
        return Ok(unknown("the homeserver did not answer a moment ago"));
    }
    let slot = client.slot().await;
    let result = slot.homeserver.who_am_i(&token).await;
    client.note(&result);
    Ok(match result {
        Ok(user_id) if user_id == session.user_id => State::Open,
        Ok(_) => State::Ended,
        Err(error) if is_unknown_token(&error) => State::Ended,
        Err(error) => unknown(&error.to_string()),
    })
}
