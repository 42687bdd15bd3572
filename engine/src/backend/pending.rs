//! Sessions whose end the homeserver has not confirmed: they are ended when it answers.

use std::collections::HashSet;

use synapse_vault_auth_provider_core::sync::Mutex;

use super::Mount;
use super::sessions::{Ending, end};
use crate::logical::LogicalError;
use crate::storage::PendingSession;

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

/// Tries to end one of them. Returns why its end is not confirmed.
///
/// # Errors
/// When storage fails.
pub async fn try_one(mount: &Mount, id: &str, away: &Away) -> Result<Option<String>, LogicalError> {
    let Some(pending) = mount.store.pending(id).await? else { return Ok(None) };
    let server = pending.session.homeserver.server.clone();
    if away.has(&server) {
        return Ok(Some(pending.reason));
    }
    let ending = end(mount, &pending.session).await;
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
            if reason != pending.reason {
                let changed = PendingSession { reason: reason.clone(), ..pending };
                mount.store.put_pending(id, &changed).await?;
            }
            Ok(Some(reason))
        }
    }
}
