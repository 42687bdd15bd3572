//! Logins that are not known to have been answered: their sessions are ended, by a login on the same
//! device.

use synapse_vault_auth_provider_core::retry::Deadline;

use super::Mount;
use super::clock::now_ms;
use super::pending::{Away, end_or_put, try_one};
use crate::logical::LogicalError;
use crate::storage::{HomeserverConfig, OpenSession, Opening, PendingSession, Purpose};

/// Which logins may be another process's, that is about to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Those that are young.
    Young,
    /// None.
    None,
}

/// Ends the session of one of these. The answer of one that is marked as open may have been under way
/// when the process ended: then its session ends as well, since nobody may hold it, and whoever
/// does reads another.
///
/// # Errors
/// When storage fails.
pub async fn end_one(
    mount: &Mount,
    id: &str,
    mark: Option<&OpenSession>,
    others: Others,
    away: &Away,
    deadline: Option<Deadline>,
) -> Result<(), LogicalError> {
    if mount.under_way.has(id) {
        return Ok(());
    }
    let Some(opening) = mount.store.opening(id).await? else { return Ok(()) };
    if mount.under_way.was_answered(id) || stays(mount, &opening).await? {
        mount.store.delete_opening(id).await?;
        mount.under_way.forget(id);
        return Ok(());
    }
    if others == Others::Young && is_young(mount, &opening).await? {
        return Ok(());
    }
    end_or_put(mount, id, opening.session(), away, deadline).await?;
    if let Some(mark) = mark {
        mount.store.delete_open(mark).await?;
    }
    mount.store.delete_opening(id).await
}

/// Whether another process may be at a login still. One that began later than now began by a clock
/// that was wrong.
async fn is_young(mount: &Mount, opening: &Opening) -> Result<bool, LogicalError> {
    let configured = mount.store.homeserver(&opening.homeserver.server).await?;
    let time = configured
        .map_or(HomeserverConfig::DEFAULT_REQUEST_TIMEOUT, |config| config.request_timeout());
    Ok(u128::from(now_ms().abs_diff(opening.began_ms)) < time.as_millis())
}

/// Whether the session of a login is the one that stays.
async fn stays(mount: &Mount, opening: &Opening) -> Result<bool, LogicalError> {
    if opening.purpose != Purpose::Static {
        return Ok(false);
    }
    let session = mount.store.static_session(&opening.user_id).await?;
    Ok(session.is_some_and(|session| session.device_id == opening.device_id))
}

/// Ends those of a user until the deadline, before the user is forgotten: nobody can log in on their
/// devices after that.
///
/// # Errors
/// 503 when the end of one is not confirmed, and when storage fails.
pub async fn end_all_of(
    mount: &Mount,
    user_id: &str,
    deadline: Deadline,
) -> Result<(), LogicalError> {
    let away = Away::default();
    let open = mount.store.open_sessions().await?;
    for id in mount.store.openings().await? {
        let opening = mount.store.opening(&id).await?;
        if opening.is_some_and(|opening| opening.user_id == user_id) {
            let mark = open.iter().find(|session| session.id == id);
            end_one(mount, &id, mark, Others::None, &away, Some(deadline)).await?;
        }
    }
    let mut left = 0;
    for id in mount.store.all_pending().await? {
        let Some(PendingSession { session, .. }) = mount.store.pending(&id).await? else {
            continue;
        };
        let needs_user = session.user_id == user_id && session.access_token.is_none();
        if needs_user && try_one(mount, &id, &away, Some(deadline)).await?.is_some() {
            left += 1;
        }
    }
    if left == 0 {
        return Ok(());
    }
    Err(LogicalError::status(
        503,
        format!(
            "sessions of the user whose token is lost may be open, {left} of them, and end only \
             while the user is configured: see pending/, where a delete gives them up"
        ),
    ))
}

/// Keeps all of them as sessions whose end is not confirmed, on a mount that is about to go.
///
/// # Errors
/// When storage fails.
pub async fn keep_all(mount: &Mount) -> Result<(), LogicalError> {
    for id in mount.store.openings().await? {
        if mount.under_way.has(&id) {
            continue;
        }
        let Some(opening) = mount.store.opening(&id).await? else { continue };
        if !mount.under_way.was_answered(&id) && !stays(mount, &opening).await? {
            let reason = "there was no time to end it".to_owned();
            let session = opening.session();
            let pending = PendingSession { session, since_ms: now_ms(), reason };
            mount.store.put_pending(&id, &pending).await?;
        }
        mount.store.delete_opening(&id).await?;
    }
    Ok(())
}
