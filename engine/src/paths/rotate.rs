//! `rotate/LOCALPART/SERVER`: another secret for a user.

use std::sync::Arc;

use super::config_user::{made_up_secret, with_secret};
use super::parts::{LOCALPART_FIELD, SERVER_FIELD, USER};
use crate::backend::{Mount, names, sessions};
use crate::framework::{Call, Outcome, Path, PathOperation, Pattern};
use crate::logical::Operation;

/// Another secret for a user.
pub static PATH: Path<Mount> = Path {
    pattern: Pattern { prefix: "rotate/", captures: USER },
    synopsis: "Make up another login_secret for a user.",
    description: "Logins from now on are made with it. Those that are under way are waited for, \
                  and sessions that are open go on.",
    fields: &[LOCALPART_FIELD, SERVER_FIELD],
    operations: &[
        PathOperation {
            operation: Operation::Create,
            summary: "Make up another secret.",
            handler: |mount, call| Box::pin(rotate(mount, call)),
        },
        PathOperation {
            operation: Operation::Update,
            summary: "Make up another secret.",
            handler: |mount, call| Box::pin(rotate(mount, call)),
        },
    ],
    existence: None,
    is_root: false,
};

async fn rotate(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    mount.check_primary().await?;
    let deadline = sessions::deadline(&mount, &user.server).await;
    let _exclusive = mount.users.change(&user.id, deadline).await?;
    let config = mount.store.user(&user.id).await?;
    let config = config.ok_or_else(|| sessions::not_configured(&user))?;
    let config = with_secret(config, made_up_secret()?);
    mount.store.put_user(&user.id, &config).await?;
    Ok(None)
}
