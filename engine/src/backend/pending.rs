//! Sessions whose end the homeserver has not confirmed: they are ended when it answers.

use std::collections::HashSet;

use synapse_vault_auth_provider_core::retry::Deadline;
use synapse_vault_auth_provider_core::sync::Mutex;

use super::Mount;
use super::clock::now_ms;
use super::sessions::{Ending, end};
use crate::logical::LogicalError;
use crate::storage::{HeldSession, PendingSession};

/// The homeservers that did not answer in this tick. None is asked twice.
#[derive(Default)]
pub struct Away(Mutex<HashSet<String>>);

impl Away {
    /// Whether this homeserver did not answer.
    pub fn has(&self, server: &str) -> bool {
        self.0.lock().contains(server)
    }

    /// Remembers what an ending says of the homeserver.
    pub fn note(&self, server: &str, ending: &Ending) {
        if let Ending::Unconfirmed { is_away: true, .. } = ending {
            self.0.lock().insert(server.to_owned());
        }
    }
}

/// Those of the sessions that should have ended which are to be tried now.
///
/// # Errors
/// When storage fails.
pub async fn due(mount: &Mount) -> Result<Vec<String>, LogicalError> {
    let mut ids = mount.store.all_pending().await?;
    mount.attempts.keep_only(&ids.iter().map(String::as_str).collect());
    ids.retain(|id| mount.attempts.is_due(id));
    Ok(ids)
}

/// Tries to end one of them, until the deadline if a host waits for it. Returns why its end is not
/// confirmed.
///
/// # Errors
/// When storage fails.
pub async fn try_one(
    mount: &Mount,
    id: &str,
    away: &Away,
    deadline: Option<Deadline>,
) -> Result<Option<String>, LogicalError> {
    let Some(pending) = mount.store.pending(id).await? else { return Ok(None) };
    let server = pending.session.homeserver.server.clone();
    if away.has(&server) {
        return Ok(Some(pending.reason));
    }
    let ending = end(mount, &pending.session, deadline).await;
    away.note(&server, &ending);
    match ending {
        Ending::Confirmed => {
            mount.store.delete_pending(id).await?;
            mount.attempts.forget(id);
            Ok(None)
        }
        Ending::Unconfirmed { reason, is_away } => {
            // All sessions of a homeserver that is away come again together, when it answers.
            if !is_away {
                mount.attempts.failed(id);
            }
            // Somebody may have given it up meanwhile.
            if reason != pending.reason && mount.store.pending(id).await?.is_some() {
                let changed = PendingSession { reason: reason.clone(), ..pending };
                mount.store.put_pending(id, &changed).await?;
            }
            Ok(Some(reason))
        }
    }
}

/// Ends a session, until the deadline if a host waits for it, or puts it among these.
///
/// # Errors
/// When storage fails.
pub async fn end_or_put(
    mount: &Mount,
    id: &str,
    session: HeldSession,
    away: &Away,
    deadline: Option<Deadline>,
) -> Result<(), LogicalError> {
    let server = session.homeserver.server.clone();
    let reason = if away.has(&server) {
        "the homeserver does not answer".to_owned()
    } else {
        let ending = end(mount, &session, deadline).await;
        away.note(&server, &ending);
        match ending {
            Ending::Confirmed => return Ok(()),
            Ending::Unconfirmed { reason, .. } => reason,
        }
    };
    let pending = PendingSession { session, since_ms: now_ms(), reason };
    mount.store.put_pending(id, &pending).await
}
