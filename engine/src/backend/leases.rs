//! Leases: what a host keeps with each, and what it asks for when they are renewed or end.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Mount;
use super::clock::time_of;
use super::sessions::{self, Opened, State, end_or_keep};
use super::ttl::{LeaseTimes, Limits};
use crate::logical::{Data, Lease, LogicalError, Request, Response};
use crate::storage::{HeldSession, OpenSession, PendingSession};

/// The version of what is kept with a lease.
const VERSION: u32 = 1;

/// What a host keeps with a lease.
#[derive(Serialize, Deserialize)]
struct LeaseData {
    version: u32,
    session: HeldSession,
    open: OpenSession,
    issued_ms: u64,
    ttl_ms: u64,
    max_ttl_ms: u64,
}

impl LeaseData {
    fn of(request: &Request) -> Result<Self, LogicalError> {
        // Not one of the errors after which a host would never try again to end a lease.
        let unreadable = || LogicalError::status(500, "the lease is not one of this engine");
        let lease = request.lease.as_ref().ok_or_else(unreadable)?;
        let data = Value::Object(lease.internal_data.clone());
        let version = data.get("version").and_then(Value::as_u64).ok_or_else(unreadable)?;
        if version > u64::from(VERSION) {
            return Err(LogicalError::status(
                500,
                format!(
                    "the lease is of version {version}, issued by a newer plugin; \
                     this one knows versions up to {VERSION}"
                ),
            ));
        }
        // What serde has against it may repeat the token.
        serde_json::from_value(data).map_err(|_| unreadable())
    }

    fn to_lease(&self) -> Result<Lease, LogicalError> {
        let written = serde_json::to_value(self);
        let Ok(Value::Object(internal_data)) = written else {
            return Err(LogicalError::status(500, "cannot write the lease as JSON"));
        };
        Ok(Lease {
            ttl: Duration::from_millis(self.ttl_ms),
            max_ttl: Duration::from_millis(self.max_ttl_ms),
            issue_time: time_of(self.issued_ms),
            is_renewable: true,
            internal_data,
        })
    }
}

/// What a renewal answers by what a request holds of a lease.
#[cfg(any(test, fuzzing))]
pub(crate) fn of_host(request: &Request) -> Result<Lease, LogicalError> {
    LeaseData::of(request)?.to_lease()
}

/// The lease of a session.
///
/// # Errors
/// 500 when there can be none.
pub fn issue(opened: Opened) -> Result<Lease, LogicalError> {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let data = LeaseData {
        version: VERSION,
        issued_ms: opened.issued_ms,
        ttl_ms: milliseconds(opened.times.ttl),
        max_ttl_ms: milliseconds(opened.times.max_ttl),
        session: opened.session,
        open: opened.open,
    };
    data.to_lease()
}

/// Lets a lease last longer, unless its session has ended: then whoever holds it has to read
/// another. A homeserver that does not answer keeps no lease from being renewed.
///
/// # Errors
/// 400 when the session has ended, and when storage fails.
pub async fn renew(mount: Arc<Mount>, request: Request) -> Result<Response, LogicalError> {
    let data = LeaseData::of(&request)?;
    let mut lease = data.to_lease()?;
    let deadline = sessions::deadline(&mount, &data.session.homeserver.server).await;
    if matches!(sessions::state(&mount, &data.session, deadline).await?, State::Ended) {
        let message = format!(
            "the session of {} has ended (M_UNKNOWN_TOKEN); read another",
            data.session.user_id
        );
        return Err(LogicalError::status(400, message));
    }
    if let Some(times) = times_now(&mount, &data).await {
        (lease.ttl, lease.max_ttl) = (times.ttl, times.max_ttl);
    }
    // An answer replaces what the lease holds, the data that its holder was given included.
    let given: Data = request.data;
    Ok(Response { data: Some(given), lease: Some(lease), warnings: Vec::new() })
}

/// How long a lease lasts by what is configured now, and never longer than when it was issued. `None`
/// if that is not known, or the user is not configured any more.
async fn times_now(mount: &Mount, data: &LeaseData) -> Option<LeaseTimes> {
    let HeldSession { user_id, homeserver, .. } = &data.session;
    let system = &mount.host.system;
    let (user, homeserver, ttl, max_ttl) = tokio::join!(
        mount.store.user(user_id),
        mount.store.homeserver(&homeserver.server),
        system.default_lease_ttl(),
        system.max_lease_ttl(),
    );
    let (user, homeserver) = (user.ok()??, homeserver.ok()??);
    let limits =
        [user.ttls.into(), homeserver.ttls.into(), Limits { ttl: ttl.ok(), max_ttl: max_ttl.ok() }];
    Some(LeaseTimes::of(&limits, Some(Duration::from_millis(data.max_ttl_ms))))
}

/// Ends a lease: logs its session out, or keeps it as one whose end is not confirmed.
///
/// # Errors
/// 503 on a mount that is being disabled when the end is not confirmed, or that of another session
/// is not, and when storage fails.
pub async fn revoke(mount: Arc<Mount>, request: Request) -> Result<(), LogicalError> {
    let LeaseData { session, open, .. } = LeaseData::of(&request)?;
    check_nothing_is_lost(&mount).await?;
    let deadline = sessions::deadline(&mount, &session.homeserver.server).await;
    end_or_keep(&mount, &open.id, session, deadline).await?;
    mount.store.delete_open(&open).await
}

/// Refuses on a mount that is being disabled while sessions wait for their end: an error is what
/// keeps the host from wiping what is known of them.
///
/// Those without a token count for nothing. Their end takes a login, and the module reads no secret
/// from such a mount, so they would keep it from being disabled for ever.
async fn check_nothing_is_lost(mount: &Mount) -> Result<(), LogicalError> {
    if !mount.host.system.is_tainted().await? {
        return Ok(());
    }
    for id in mount.store.all_pending().await? {
        let Some(PendingSession { session, .. }) = mount.store.pending(&id).await? else {
            continue;
        };
        if session.access_token.is_some() {
            let user = session.user_id;
            let message =
                format!("the end of a session of {user} is not confirmed: see pending/{id}");
            return Err(LogicalError::status(503, message));
        }
    }
    Ok(())
}
