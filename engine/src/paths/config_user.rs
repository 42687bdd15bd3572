//! `config/user/LOCALPART/SERVER`: a user, and the secret that its logins are made with.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use synapse_vault_auth_provider_core::random::new_secret;

use super::parts::{
    LOCALPART_FIELD, MAX_TTL_FIELD, SERVER_FIELD, TTL_FIELD, USER, change_ttls, optional_text,
    shown_ttls,
};
use crate::backend::clock::now_ms;
use crate::backend::names::User;
use crate::backend::{Mount, names, sessions, unanswered};
use crate::framework::{Call, Field, FieldKind, Outcome, Path, PathOperation, Pattern};
use crate::logical::{Data, LogicalError, Operation, Response};
use crate::storage::UserConfig;

/// Where it is.
const PREFIX: &str = "config/user/";

/// Longest name of a device that homeservers take, in characters.
const LONGEST_DEVICE_NAME: usize = 100;

/// A user.
pub static PATH: Path<Mount> = Path {
    pattern: Pattern { prefix: PREFIX, captures: USER },
    synopsis: "Configure a user whose sessions this engine opens.",
    description: "The secret is what logins of the user are made with. It is made up for a new \
                  user if none is given, kept by a write without one, and never shown. Deleting a \
                  user ends the session at static/LOCALPART/SERVER; sessions with a lease go on \
                  until their lease ends.",
    fields: &[
        LOCALPART_FIELD,
        SERVER_FIELD,
        Field::new(
            "login_secret",
            FieldKind::Secret,
            "The secret that logins of the user are made with. Made up for a new user if it is \
             missing.",
        ),
        TTL_FIELD,
        MAX_TTL_FIELD,
        Field::new(
            "device_name",
            FieldKind::Text,
            "What the devices of the user's sessions are called: \"Vault\" unless another name is \
             given.",
        ),
        Field::new(
            "create_only",
            FieldKind::Boolean,
            "Whether to fail if the user is configured already.",
        ),
        Field::new(
            "logout_other_devices",
            FieldKind::Boolean,
            "To log sessions out, revoke their leases: \
             \"lease revoke -prefix MOUNT/user/LOCALPART/SERVER\".",
        )
        .deprecated(),
    ],
    operations: &[
        PathOperation {
            operation: Operation::Create,
            summary: "Configure a user.",
            handler: |mount, call| Box::pin(write(mount, call)),
        },
        PathOperation {
            operation: Operation::Update,
            summary: "Change what is configured of a user.",
            handler: |mount, call| Box::pin(write(mount, call)),
        },
        PathOperation {
            operation: Operation::Read,
            summary: "Read what is configured of a user, but for the secret.",
            handler: |mount, call| Box::pin(read(mount, call)),
        },
        PathOperation {
            operation: Operation::Delete,
            summary: "Forget a user, once the session that stays has ended.",
            handler: |mount, call| Box::pin(delete(mount, call)),
        },
    ],
    existence: Some(|mount, call| Box::pin(exists(mount, call))),
    is_root: false,
};

/// All users.
pub static LIST: Path<Mount> = Path {
    pattern: Pattern { prefix: PREFIX, captures: &[] },
    synopsis: "List the users that are configured.",
    description: "The list has whole user ids, such as \"@alice:example.org\", and is sorted.",
    fields: &[],
    operations: &[PathOperation {
        operation: Operation::List,
        summary: "List the users that are configured.",
        handler: |mount, _| {
            Box::pin(async move { Ok(Some(Response::list(mount.store.users().await?))) })
        },
    }],
    existence: None,
    is_root: false,
};

async fn exists(mount: Arc<Mount>, call: Call) -> Result<bool, LogicalError> {
    let Ok(user) = names::user(&call) else { return Ok(false) };
    Ok(mount.store.user(&user.id).await?.is_some())
}

async fn read(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    let config = mount.store.user(&user.id).await?;
    Ok(config.map(|config| Response::of(shown(&user, &config))))
}

async fn write(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    // Before anything is read: what a standby reads may be old.
    mount.check_primary().await?;
    let deadline = sessions::deadline(&mount, &user.server).await;
    let _exclusive = mount.users.change(&user.id, deadline).await?;
    let before = mount.store.user(&user.id).await?;
    if before.is_some() && call.boolean("create_only")? == Some(true) {
        return Err(LogicalError::invalid("the user is configured already"));
    }
    let config = changed(&call, before)?;
    mount.store.put_user(&user.id, &config).await?;
    let response = Response::of(shown(&user, &config));
    if mount.store.homeserver(&user.server).await?.is_some() {
        return Ok(Some(response));
    }
    let server = &user.server;
    let warning = format!("the homeserver is not configured yet: write config/homeserver/{server}");
    Ok(Some(response.warn(warning)))
}

async fn delete(mount: Arc<Mount>, call: Call) -> Outcome {
    let user = names::user(&call)?;
    mount.check_primary().await?;
    let deadline = sessions::deadline(&mount, &user.server).await;
    // In this order: a read of the session that stays logs in while it holds the first.
    let _one_at_a_time = mount.static_users.change(&user.id, deadline).await?;
    let _exclusive = mount.users.change(&user.id, deadline).await?;
    if mount.store.user(&user.id).await?.is_some() {
        unanswered::end_all_of(&mount, &user.id, deadline).await?;
    }
    let warning = sessions::end_static(&mount, &user, deadline).await?;
    mount.store.delete_user(&user.id).await?;
    Ok(warning.map(|warning| Response::default().warn(warning)))
}

/// What is configured after this call.
fn changed(call: &Call, before: Option<UserConfig>) -> Result<UserConfig, LogicalError> {
    if call.is_null("login_secret") {
        return Err(LogicalError::invalid("login_secret must be a string, or left out"));
    }
    let given = call.secret("login_secret")?;
    if given.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
        return Err(LogicalError::invalid("login_secret must not be empty"));
    }
    let mut config = match (before, given) {
        (Some(before), None) => before,
        (Some(before), Some(secret)) => with_secret(before, secret),
        (None, Some(secret)) => UserConfig::new(secret, now_ms()),
        (None, None) => UserConfig::new(made_up_secret()?, now_ms()),
    };
    if let Some(device_name) = optional_text(call, "device_name")? {
        if device_name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_DEVICE_NAME) {
            return Err(LogicalError::invalid("device_name must be at most 100 characters long"));
        }
        config.device_name = device_name;
    }
    change_ttls(call, &mut config.ttls)?;
    Ok(config)
}

/// The same user with this secret. The time of the change is kept if the secret is the same.
#[must_use]
pub fn with_secret(mut config: UserConfig, secret: SecretString) -> UserConfig {
    if config.login_secret.expose_secret() != secret.expose_secret() {
        config.login_secret = secret;
        config.secret_changed_ms = now_ms();
    }
    config
}

/// A secret that nobody has seen.
///
/// # Errors
/// 500 when the operating system has no random bytes to give.
pub fn made_up_secret() -> Result<SecretString, LogicalError> {
    new_secret().map_err(|error| LogicalError::status(500, error.to_string()))
}

/// What is configured, as it is shown: never the secret.
fn shown(user: &User, config: &UserConfig) -> Data {
    [
        ("user_id".to_owned(), json!(user.id)),
        ("device_name".to_owned(), json!(config.device_name())),
    ]
    .into_iter()
    .chain(shown_ttls(&config.ttls))
    .collect()
}
