//! `static/LOCALPART/SERVER`: the one session of a user that stays.

use std::sync::Arc;

use super::parts::{LOCALPART_FIELD, SERVER_FIELD, USER, credentials};
use crate::backend::sessions::State;
use crate::backend::{Mount, names, sessions};
use crate::framework::{Call, Outcome, Path, PathOperation, Pattern};
use crate::logical::{Operation, Response};
use crate::storage::Purpose;

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
    let deadline = sessions::deadline(&mount, &user.server).await;
    let one_at_a_time = mount.static_users.change(&user.id, deadline).await?;
    let kept = mount.store.static_session(&user.id).await?;
    let warning = match kept {
        None => None,
        Some(session) => match sessions::state(&mount, &session, deadline).await? {
            State::Open => return Ok(Some(Response::of(credentials(&session)))),
            State::Unknown(why) => {
                let warning = format!("the session may have ended: {why}");
                return Ok(Some(Response::of(credentials(&session)).warn(warning)));
            }
            State::Ended => Some(format!(
                "the session on the device {} has ended; this is another one, on another device",
                session.device_id
            )),
        },
    };
    let held = Some((one_at_a_time, deadline));
    let opened = sessions::open(&mount, &user, Purpose::Static, held).await?;
    let mut response = Response::of(credentials(&opened.session));
    response.warnings.extend(warning);
    Ok(Some(response))
}

async fn delete(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    mount.check_primary().await?;
    let deadline = sessions::deadline(&mount, &user.server).await;
    let _one_at_a_time = mount.static_users.change(&user.id, deadline).await?;
    let warning = sessions::end_static(&mount, &user, deadline).await?;
    Ok(warning.map(|warning| Response::default().warn(warning)))
}
