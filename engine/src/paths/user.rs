//! `user/LOCALPART/SERVER`: an access token, with a lease.

use std::sync::Arc;

use super::parts::{LOCALPART_FIELD, SERVER_FIELD, USER, credentials};
use crate::backend::{Mount, leases, names, sessions};
use crate::framework::{Call, Outcome, Path, PathOperation, Pattern};
use crate::logical::{Operation, Response};
use crate::storage::Purpose;

/// An access token, with a lease.
pub static PATH: Path<Mount> = Path {
    pattern: Pattern { prefix: "user/", captures: USER },
    synopsis: "Open a session of a user, and get its access token with a lease.",
    description: "Each read opens a session on a device of its own. When the lease ends or is \
                  revoked, the session is logged out. Renewing keeps it, up to max_ttl.",
    fields: &[LOCALPART_FIELD, SERVER_FIELD],
    operations: &[PathOperation {
        operation: Operation::Read,
        summary: "Open a session.",
        handler: |mount, call| Box::pin(read(mount, call)),
    }],
    existence: None,
    is_root: false,
};

async fn read(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    // Before anything is read: what a standby reads may be old.
    mount.check_active().await?;
    let opened = sessions::open(&mount, &user, Purpose::Lease, None).await?;
    let data = credentials(&opened.session);
    let lease = leases::issue(opened)?;
    Ok(Some(Response { data: Some(data), lease: Some(lease), warnings: Vec::new() }))
}
