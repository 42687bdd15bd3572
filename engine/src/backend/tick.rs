//! What is done once a minute: whatever nobody holds is ended.
//!
//! The host holds a lock while it asks for it, so the work begins and the answer does not wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::Mount;
use super::clock::now_ms;
use super::pending::{self, Away, end_or_put};
use super::unanswered::{self, Others};
use crate::logical::LogicalError;
use crate::storage::{HomeserverConfig, OpenSession, PendingSession};

/// What is ended at once.
const AT_ONCE: usize = 32;

/// How long after its end the host itself has to end a session.
const GRACE_SECONDS: u64 = 30;

/// How long the host waits for a mount that is about to go.
const LEAVE_TIME: Duration = HomeserverConfig::DEFAULT_REQUEST_TIMEOUT;

/// Begins the work, unless it is under way.
pub fn begin(mount: Arc<Mount>) {
    if mount.is_ticking.swap(true, Ordering::AcqRel) {
        return;
    }
    let ticking = Ticking(mount);
    tokio::spawn(async move {
        let mount = &ticking.0;
        if let Err(error) = clear_up(mount).await {
            mount.host.notices.warning(format!("cannot clear up: {error}"));
        }
    });
}

/// A tick at work. However it ends, the next one may begin.
struct Ticking(Arc<Mount>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.is_ticking.store(false, Ordering::Release);
    }
}

/// Ends what nobody holds. On a standby it does nothing: what is there is the active node's. What
/// fails keeps nothing else from its turn.
///
/// # Errors
/// The first thing that failed.
pub async fn clear_up(mount: &Mount) -> Result<(), LogicalError> {
    if mount.host.system.replication_state().await?.is_standby() {
        return Ok(());
    }
    let away = Away::default();
    let logins = end_logins(mount, Others::Young, &away).await;
    let pending = match pending::due(mount).await {
        Ok(due) => try_pending(mount, due, &away).await,
        Err(error) => Err(error),
    };
    logins.and(pending)
}

/// Ends the sessions of logins that are not known to have been answered, and those that should have
/// ended with their lease.
async fn end_logins(mount: &Mount, others: Others, away: &Away) -> Result<(), LogicalError> {
    let (openings, open) = tokio::join!(mount.store.openings(), mount.store.open_sessions());
    let open = open?;
    let marks: HashMap<&str, &OpenSession> =
        open.iter().map(|session| (session.id.as_str(), session)).collect();
    let unanswered = match openings {
        Ok(openings) => {
            let end_one = |id: String| {
                let mark = marks.get(id.as_str()).copied();
                async move { unanswered::end_one(mount, &id, mark, others, away, None).await }
            };
            each(openings, end_one).await
        }
        Err(error) => Err(error),
    };
    let now = now_ms() / 1000;
    let is_past = |session: &&OpenSession| session.end.saturating_add(GRACE_SECONDS) < now;
    let past = open.iter().filter(is_past).cloned();
    unanswered.and(each(past, |session| end_past(mount, session, away)).await)
}

/// Tries to end sessions whose end is not confirmed.
async fn try_pending(mount: &Mount, ids: Vec<String>, away: &Away) -> Result<(), LogicalError> {
    each(ids, |id| async move { pending::try_one(mount, &id, away, None).await.map(drop) }).await
}

/// Tries once more what nobody holds, on a mount that is about to go: the host revokes its leases
/// after this, which fails while an end is not confirmed.
///
/// The sessions that stay are left alone. A mount that is moved looks the same as one that is being
/// disabled, and keeps them.
pub async fn leave(mount: &Mount) {
    let outcome = match timeout(LEAVE_TIME, try_all(mount)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(LogicalError::status(503, "a homeserver takes too long")),
    };
    let outcome = outcome.and(keep_what_is_left(mount).await);
    if let Err(error) = outcome {
        mount.host.notices.error(format!("cannot end all sessions before the mount goes: {error}"));
    }
}

async fn try_all(mount: &Mount) -> Result<(), LogicalError> {
    if mount.host.system.replication_state().await?.is_standby() {
        return Ok(());
    }
    let away = Away::default();
    // Those that are under way are still answered.
    mount.under_way.finish().await;
    let logins = end_logins(mount, Others::None, &away).await;
    let pending = mount.store.all_pending().await?;
    logins.and(try_pending(mount, pending, &away).await)
}

/// Keeps what there was no time for, and tells of the sessions that nobody can end once the mount is
/// gone: their token is lost.
async fn keep_what_is_left(mount: &Mount) -> Result<(), LogicalError> {
    if mount.host.system.replication_state().await?.is_standby() {
        return Ok(());
    }
    unanswered::keep_all(mount).await?;
    for id in mount.store.all_pending().await? {
        let Some(PendingSession { session, .. }) = mount.store.pending(&id).await? else {
            continue;
        };
        if session.access_token.is_none() {
            mount.host.notices.error(format!(
                "the session of {} on the device {} has not ended: log it out at the homeserver",
                session.user_id, session.device_id
            ));
        }
    }
    Ok(())
}

/// A session that should have ended with its lease.
async fn end_past(mount: &Mount, session: OpenSession, away: &Away) -> Result<(), LogicalError> {
    if let Some(opening) = mount.store.open(&session).await? {
        end_or_put(mount, &session.id, opening.session(), away, None).await?;
    }
    mount.store.delete_open(&session).await
}

/// Does something to each of these, several at once; one that fails keeps no other from its turn.
async fn each<T, F: Future<Output = Result<(), LogicalError>>>(
    all: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Result<(), LogicalError> {
    let results = stream::iter(all).map(work).buffer_unordered(AT_ONCE);
    results.fold(Ok(()), |all: Result<(), LogicalError>, one| async move { all.and(one) }).await
}
