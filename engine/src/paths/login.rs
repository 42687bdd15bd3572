//! `login/USER_ID`: the secret of a user, for the module of the homeserver alone.

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;

use crate::backend::{Mount, names};
use crate::framework::{Call, Capture, Field, FieldKind, Outcome, Path, PathOperation, Pattern};
use crate::logical::{Data, Operation, Response};

/// The secret of a user.
pub static PATH: Path<Mount> = Path {
    pattern: Pattern {
        prefix: "login/",
        captures: &[Capture { name: "user_id", may_hold_slashes: true }],
    },
    synopsis: "Read the secret that logins of a user are made with.",
    description: "For the module of the homeserver alone, which reads it as an entry of the first \
                  version of the KV engine. Its policy needs \"sudo\" beside \"read\", so that no \
                  policy for everything below the mount opens it.",
    fields: &[Field::new(
        "user_id",
        FieldKind::Text,
        "The whole user id, such as \"@alice:example.org\".",
    )],
    operations: &[PathOperation {
        operation: Operation::Read,
        summary: "Read the secret that logins of a user are made with.",
        handler: |mount, call| Box::pin(read(mount, call)),
    }],
    existence: None,
    is_root: true,
};

async fn read(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user_of_id(&call)?;
    let Some(config) = mount.store.user(&user.id).await? else { return Ok(None) };
    let mut data = Data::new();
    data.insert("login_secret".to_owned(), json!(config.login_secret.expose_secret()));
    Ok(Some(Response::of(data)))
}
