//! Whether a session is open still.

use synapse_vault_auth_provider_core::homeserver::AccessToken;
use synapse_vault_auth_provider_core::retry::Deadline;

use super::end::{client_of, former_client};
use crate::backend::Mount;
use crate::backend::failure::is_unknown_token;
use crate::backend::homeserver_client::HomeserverClient;
use crate::logical::LogicalError;
use crate::storage::HeldSession;

/// What is known of a session.
pub enum State {
    /// It is open.
    Open,
    /// It has ended.
    Ended,
    /// The homeserver does not say, for this reason.
    Unknown(String),
}

/// Asks the homeserver whether a session is open, until the deadline. One that hangs is not asked.
///
/// # Errors
/// When storage fails, or there can be no connection to the homeserver.
pub async fn state(
    mount: &Mount,
    session: &HeldSession,
    deadline: Deadline,
) -> Result<State, LogicalError> {
    let token = session.access_token.as_ref().map(AccessToken::parse);
    let Some(Ok(token)) = token else { return Ok(State::Ended) };
    let client = client_of(mount, &session.homeserver).await?;
    let found = state_at(&client, session, &token, deadline).await;
    if !matches!(found, State::Ended) {
        return Ok(found);
    }
    // A homeserver that never had the session does not know its token either.
    match former_client(mount, &client, &session.homeserver).await? {
        Some(former) => Ok(state_at(&former, session, &token, deadline).await),
        None => Ok(found),
    }
}

async fn state_at(
    client: &HomeserverClient,
    session: &HeldSession,
    token: &AccessToken,
    deadline: Deadline,
) -> State {
    let Some(slot) = client.slot_unless_hanging(deadline).await else {
        return State::Unknown("the homeserver did not answer a moment ago".to_owned());
    };
    match slot.ask(|homeserver| homeserver.who_am_i(token)).await {
        Ok(user_id) if user_id == session.user_id => State::Open,
        Ok(_) => State::Ended,
        Err(error) if is_unknown_token(&error) => State::Ended,
        Err(error) => State::Unknown(error.to_string()),
    }
}
