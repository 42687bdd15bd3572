//! Ends sessions.

use std::sync::Arc;

use secrecy::ExposeSecret;
use synapse_vault_auth_provider_core::homeserver::{AccessToken, HomeserverError, LoginEndpoint};
use synapse_vault_auth_provider_core::random::new_secret;
use synapse_vault_auth_provider_core::retry::{Deadline, Transient};

use super::log_in::log_in;
use crate::backend::Mount;
use crate::backend::clock::now_ms;
use crate::backend::failure::is_unknown_token;
use crate::backend::homeserver_client::HomeserverClient;
use crate::backend::names::User;
use crate::logical::LogicalError;
use crate::storage::{HeldSession, HomeserverAddress, HomeserverConfig, PendingSession};

/// What became of a session that was to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has ended.
    Confirmed,
    /// The homeserver has not confirmed it, for this reason. `is_away` says that another request
    /// would fare no better.
    Unconfirmed {
        /// Why.
        reason: String,
        /// Whether the homeserver does not answer at all.
        is_away: bool,
    },
}

impl Ending {
    fn of<T>(result: Result<T, HomeserverError>) -> Self {
        match result {
            Ok(_) => Self::Confirmed,
            Err(error) if is_unknown_token(&error) => Self::Confirmed,
            Err(error) => Self::Unconfirmed {
                reason: error.to_string(),
                is_away: matches!(error, HomeserverError::NoAnswer { .. }),
            },
        }
    }

    fn because(reason: impl Into<String>) -> Self {
        Self::Unconfirmed { reason: reason.into(), is_away: false }
    }

    fn hanging() -> Self {
        let reason = "the homeserver did not answer a moment ago".to_owned();
        Self::Unconfirmed { reason, is_away: true }
    }
}

/// Ends a session, until the deadline if a host waits for it. A homeserver that hangs is not asked.
pub async fn end(mount: &Mount, session: &HeldSession, deadline: Option<Deadline>) -> Ending {
    let client = match client_of(mount, &session.homeserver).await {
        Ok(client) => client,
        Err(error) => return Ending::because(error.to_string()),
    };
    end_by(mount, &client, session, deadline).await
}

/// Ends a session by a connection that there is already.
pub async fn end_by(
    mount: &Mount,
    client: &HomeserverClient,
    session: &HeldSession,
    deadline: Option<Deadline>,
) -> Ending {
    let deadline = deadline.unwrap_or_else(|| client.time_for_an_end());
    let (Some(token), Some(endpoint)) = (&session.access_token, session.endpoint) else {
        // The sessions of an account that was closed ended with it.
        let is_over = |error: &HomeserverError| error.errcode() == Some("M_USER_DEACTIVATED");
        return by_device(mount, client, session, is_over, deadline).await;
    };
    match AccessToken::parse(token) {
        Ok(token) => by_token(mount, client, (endpoint, &token), session, deadline).await,
        Err(error) => Ending::because(format!("the token {error}")),
    }
}

/// Ends a session until the deadline, or keeps it as one whose end is not confirmed. Returns why it
/// is not.
///
/// On a mount that is being disabled an end that is not confirmed is an error instead: what the
/// mount keeps is about to be wiped.
///
/// # Errors
/// 503 on such a mount, and when storage fails.
pub async fn end_or_keep(
    mount: &Mount,
    id: &str,
    session: HeldSession,
    deadline: Deadline,
) -> Result<Option<String>, LogicalError> {
    let ending = end(mount, &session, Some(deadline)).await;
    let Ending::Unconfirmed { reason, .. } = ending else { return Ok(None) };
    if mount.host.system.is_tainted().await? {
        let message = format!("cannot log {} out: {reason}", session.user_id);
        return Err(LogicalError::status(503, message));
    }
    let pending = PendingSession { session, since_ms: now_ms(), reason: reason.clone() };
    mount.store.put_pending(id, &pending).await?;
    Ok(Some(reason))
}

/// Ends the session of a user that stays until the deadline, if there is one. Returns a warning if
/// the homeserver has not confirmed it.
///
/// # Errors
/// When storage fails.
pub async fn end_static(
    mount: &Mount,
    user: &User,
    deadline: Deadline,
) -> Result<Option<String>, LogicalError> {
    let Some(session) = mount.store.static_session(&user.id).await? else { return Ok(None) };
    let id = new_secret().map_err(|error| LogicalError::status(500, error.to_string()))?;
    let id = id.expose_secret();
    let kept = end_or_keep(mount, id, session, deadline).await?;
    mount.store.delete_static_session(&user.id).await?;
    Ok(kept.map(|reason| {
        format!(
            "the homeserver has not confirmed the end of the session yet, which is tried again \
             until it does: see pending/{id} ({reason})"
        )
    }))
}

/// Logs a token out, unless the homeserver hangs.
async fn log_out(
    client: &HomeserverClient,
    endpoint: LoginEndpoint,
    token: &AccessToken,
    deadline: Deadline,
) -> Option<Result<(), HomeserverError>> {
    let slot = client.slot_unless_hanging(deadline).await?;
    Some(slot.ask(|homeserver| homeserver.log_out_at(endpoint, token)).await)
}

async fn by_token(
    mount: &Mount,
    client: &HomeserverClient,
    (endpoint, token): (LoginEndpoint, &AccessToken),
    session: &HeldSession,
    deadline: Deadline,
) -> Ending {
    let result = log_out(client, endpoint, token, deadline).await;
    if !matches!(&result, Some(Err(error)) if is_unknown_token(error)) {
        return result.map_or_else(Ending::hanging, Ending::of);
    }
    // A homeserver that never had the session does not know its token either.
    match former_client(mount, client, &session.homeserver).await {
        Ok(None) if endpoint == LoginEndpoint::Module => {
            unless_locked(mount, client, session, deadline).await
        }
        Ok(None) => Ending::Confirmed,
        Ok(Some(former)) => {
            let result = log_out(&former, endpoint, token, deadline).await;
            result.map_or_else(Ending::hanging, Ending::of)
        }
        Err(error) => Ending::because(error.to_string()),
    }
}

/// Looks closer at a session whose token Matrix Authentication Service does not know. To it, the
/// token of a locked user is like one that has ended, and works again once the user is unlocked. So
/// a login on the device tells, and ends what is left there.
async fn unless_locked(
    mount: &Mount,
    client: &HomeserverClient,
    session: &HeldSession,
    deadline: Deadline,
) -> Ending {
    // Without a secret there is nothing to log in with, and the homeserver's word has to do.
    let Ok(Some(_)) = mount.store.user(&session.user_id).await else { return Ending::Confirmed };
    let is_over =
        |error: &HomeserverError| !error.is_transient() && error.errcode() != Some("M_USER_LOCKED");
    by_device(mount, client, session, is_over, deadline).await
}

/// Ends the session of a device whose token is lost: a login on the device gives another token,
/// and the logout with that one ends both. A login that is refused may say that it has ended.
async fn by_device(
    mount: &Mount,
    client: &HomeserverClient,
    session: &HeldSession,
    is_over: impl Fn(&HomeserverError) -> bool,
    deadline: Deadline,
) -> Ending {
    let user = match mount.store.user(&session.user_id).await {
        Ok(Some(user)) => user,
        Ok(None) => {
            return Ending::because(
                "the user is not configured any more, so that nobody can log in on its device",
            );
        }
        Err(error) => return Ending::because(error.to_string()),
    };
    let slot = client.slot_unless_hanging(deadline).await;
    let Some(slot) = slot else { return Ending::hanging() };
    let result = log_in(&slot, &session.user_id, &user, &session.device_id).await;
    // The logout waits for one of its own.
    drop(slot);
    match result {
        Err(error) if is_over(&error) => Ending::Confirmed,
        Err(error) => Ending::of::<()>(Err(error)),
        Ok((opened, endpoint)) => {
            let ended = log_out(client, endpoint, &opened.access_token, deadline).await;
            if opened.device_id != session.device_id || opened.user_id != session.user_id {
                return Ending::because("the homeserver logged another user or device in");
            }
            ended.map_or_else(Ending::hanging, Ending::of)
        }
    }
}

/// The homeserver as it is configured now, or as it was when the session was opened.
///
/// # Errors
/// When storage fails, or there can be no connection to such a homeserver.
pub async fn client_of(
    mount: &Mount,
    address: &HomeserverAddress,
) -> Result<Arc<HomeserverClient>, LogicalError> {
    let configured = mount.store.homeserver(&address.server).await?;
    let config = configured.unwrap_or_else(|| HomeserverConfig::new(address.clone()));
    mount.homeservers.client(&config).await
}

/// The homeserver as it was when a session was opened, if it is at another address by now.
///
/// # Errors
/// When there can be no connection to such a homeserver.
pub async fn former_client(
    mount: &Mount,
    client: &HomeserverClient,
    opened_at: &HomeserverAddress,
) -> Result<Option<Arc<HomeserverClient>>, LogicalError> {
    if client.cs_url() == opened_at.cs_url {
        return Ok(None);
    }
    mount.homeservers.client(&HomeserverConfig::new(opened_at.clone())).await.map(Some)
}
