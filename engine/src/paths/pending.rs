//! `pending/ID`: sessions whose end the homeserver has not confirmed.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::backend::clock::time_of;
use crate::backend::pending::{Away, try_one};
use crate::backend::{Mount, sessions};
use crate::framework::{Call, Capture, Field, FieldKind, Outcome, Path, PathOperation, Pattern};
use crate::logical::{Data, LogicalError, Operation, Response};
use crate::storage::PendingSession;

/// Where it is.
const PREFIX: &str = "pending/";

/// How many are read from storage at once.
const AT_ONCE: usize = 32;

/// A session whose end the homeserver has not confirmed.
pub static PATH: Path<Mount> = Path {
    pattern: Pattern {
        prefix: PREFIX,
        captures: &[Capture { name: "id", may_hold_slashes: false }],
    },
    synopsis: "A session whose end the homeserver has not confirmed.",
    description: "It is ended when the homeserver answers; a write tries it now. Deleting gives it \
                  up: the session may go on then.",
    fields: &[Field::new("id", FieldKind::Text, "What the list of these sessions calls it.")],
    operations: &[
        PathOperation {
            operation: Operation::Create,
            summary: "Try to end the session now.",
            handler: |mount, call| Box::pin(try_now(mount, call)),
        },
        PathOperation {
            operation: Operation::Update,
            summary: "Try to end the session now.",
            handler: |mount, call| Box::pin(try_now(mount, call)),
        },
        PathOperation {
            operation: Operation::Read,
            summary: "Read since when the session should have ended, and why it has not.",
            handler: |mount, call| Box::pin(read(mount, call)),
        },
        PathOperation {
            operation: Operation::Delete,
            summary: "Give the session up.",
            handler: |mount, call| Box::pin(give_up(mount, call)),
        },
    ],
    existence: Some(|mount, call| Box::pin(exists(mount, call))),
    is_root: false,
};

/// All of these sessions.
pub static LIST: Path<Mount> = Path {
    pattern: Pattern { prefix: PREFIX, captures: &[] },
    synopsis: "List the sessions whose end the homeserver has not confirmed.",
    description: "With each comes whose it is, since when it should have ended, and why it has not.",
    fields: &[],
    operations: &[PathOperation {
        operation: Operation::List,
        summary: "List the sessions whose end the homeserver has not confirmed.",
        handler: |mount, _| Box::pin(list(mount)),
    }],
    existence: None,
    is_root: false,
};

async fn exists(mount: Arc<Mount>, call: Call) -> Result<bool, LogicalError> {
    Ok(mount.store.pending(call.captured("id")).await?.is_some())
}

async fn read(mount: Arc<Mount>, call: Call) -> Outcome {
    let pending = mount.store.pending(call.captured("id")).await?;
    Ok(pending.map(|pending| Response::of(shown(&pending))))
}

async fn try_now(mount: Arc<Mount>, call: Call) -> Outcome {
    let id = call.captured("id");
    mount.check_active().await?;
    let Some(pending) = mount.store.pending(id).await? else {
        return Err(LogicalError::status(404, "there is no such session"));
    };
    let deadline = sessions::deadline(&mount, &pending.session.homeserver.server).await;
    match try_one(&mount, id, &Away::default(), Some(deadline)).await? {
        None => Ok(None),
        Some(reason) => {
            let message = format!("the end of the session is not confirmed: {reason}");
            Err(LogicalError::status(503, message))
        }
    }
}

async fn give_up(mount: Arc<Mount>, call: Call) -> Outcome {
    let id = call.captured("id");
    mount.check_active().await?;
    mount.store.delete_pending(id).await?;
    mount.attempts.forget(id);
    Ok(None)
}

async fn list(mount: Arc<Mount>) -> Outcome {
    let ids = mount.store.all_pending().await?;
    let read = ids.iter().cloned().map(|id| {
        let mount = Arc::clone(&mount);
        async move { Ok::<_, LogicalError>((mount.store.pending(&id).await?, id)) }
    });
    let reading: Vec<_> = read.collect();
    let all: Vec<_> = stream::iter(reading).buffered(AT_ONCE).try_collect().await?;
    let infos: Data = all
        .into_iter()
        .filter_map(|(pending, id)| Some((id, Value::Object(shown(&pending?)))))
        .collect();
    let mut response = Response::list(ids);
    if let (Some(data), false) = (&mut response.data, infos.is_empty()) {
        data.insert("key_info".to_owned(), infos.into());
    }
    Ok(Some(response))
}

/// A session, as it is shown: never its token.
fn shown(pending: &PendingSession) -> Data {
    let since = humantime::format_rfc3339_seconds(time_of(pending.since_ms)).to_string();
    let session = &pending.session;
    [
        ("user_id".to_owned(), json!(session.user_id)),
        ("device_id".to_owned(), json!(session.device_id)),
        ("homeserver_url".to_owned(), json!(session.homeserver.cs_url)),
        ("since".to_owned(), json!(since)),
        ("reason".to_owned(), json!(pending.reason)),
    ]
    .into_iter()
    .collect()
}
