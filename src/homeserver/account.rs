//! An account as an administrator of Synapse sees it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What Synapse knows of an account:
/// <https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#query-user-account>.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Account {
    /// When it was created, in seconds since 1970, as Synapse itself gives it. Accounts of old
    /// databases may say 0.
    pub creation_ts: u64,
    /// When it was last used, in seconds since 1970; Synapse gives milliseconds. `None` if it never
    /// was, or too short a time ago or too long.
    pub last_seen_ts: Option<u64>,
    /// Whether the user is an administrator of the homeserver.
    pub is_admin: bool,
    /// Whether the account was closed.
    pub is_deactivated: bool,
    /// Whether the account was closed, and what others see of it removed.
    pub is_erased: bool,
    /// Whether the account is locked for the time being.
    pub is_locked: bool,
    /// Whether the account is suspended: it may log in and read, and do little else.
    pub is_suspended: bool,
    /// Whether the user is a guest, who has no credentials.
    pub is_guest: bool,
    /// The type, such as `bot`; `None` for people.
    pub user_type: Option<String>,
    /// The application service whose account it is.
    pub appservice_id: Option<String>,
    /// The display name.
    pub display_name: Option<String>,
    /// The avatar, an `mxc://` URI.
    pub avatar_url: Option<String>,
    /// Whether an e-mail address or telephone number belongs to it.
    pub has_threepids: bool,
    /// Whether a user of an identity provider belongs to it.
    pub has_external_ids: bool,
}

/// Attributes to set; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Attributes<'a> {
    /// The display name.
    #[serde(rename = "displayname", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<&'a str>,
    /// The avatar, an `mxc://` URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<&'a str>,
    /// Whether the user is to be an administrator of the homeserver.
    #[serde(rename = "admin", skip_serializing_if = "Option::is_none")]
    pub is_admin: Option<bool>,
    /// The type, such as `bot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<&'a str>,
}

/// The form of Synapse's answer. What older versions lack has a default; 0 and 1 stand for no and
/// yes in some of them.
#[derive(Deserialize)]
pub struct AccountBody {
    creation_ts: u64,
    #[serde(default)]
    last_seen_ts: Option<u64>,
    admin: Value,
    deactivated: Value,
    #[serde(default)]
    erased: Value,
    #[serde(default)]
    locked: Value,
    #[serde(default)]
    suspended: Value,
    #[serde(default)]
    is_guest: Value,
    #[serde(default)]
    user_type: Option<String>,
    #[serde(default)]
    appservice_id: Option<String>,
    #[serde(default)]
    displayname: Option<String>,
    #[serde(default)]
    avatar_url: Option<String>,
    #[serde(default)]
    threepids: Vec<Value>,
    #[serde(default)]
    external_ids: Vec<Value>,
}

impl From<AccountBody> for Account {
    fn from(body: AccountBody) -> Self {
        Self {
            creation_ts: body.creation_ts,
            last_seen_ts: body.last_seen_ts.map(|milliseconds| milliseconds / 1000),
            is_admin: is_true(&body.admin),
            is_deactivated: is_true(&body.deactivated),
            is_erased: is_true(&body.erased),
            is_locked: is_true(&body.locked),
            is_suspended: is_true(&body.suspended),
            is_guest: is_true(&body.is_guest),
            user_type: body.user_type,
            appservice_id: body.appservice_id,
            display_name: body.displayname,
            avatar_url: body.avatar_url,
            has_threepids: !body.threepids.is_empty(),
            has_external_ids: !body.external_ids.is_empty(),
        }
    }
}

fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_u64().is_some_and(|number| number != 0))
}
