//! What several paths have in common.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::backend::clock::whole_seconds;
use crate::framework::{Call, Capture, Field, FieldKind};
use crate::logical::{Data, LogicalError};
use crate::storage::{HeldSession, Ttls};

/// A localpart and a server, which name a user. The localpart may hold slashes.
pub const USER: &[Capture] = &[
    Capture { name: "localpart", may_hold_slashes: true },
    Capture { name: "server", may_hold_slashes: false },
];

/// A server.
pub const SERVER: &[Capture] = &[Capture { name: "server", may_hold_slashes: false }];

/// The field of a captured localpart.
pub const LOCALPART_FIELD: Field = Field::new(
    "localpart",
    FieldKind::Text,
    "Localpart of the user id, such as \"alice\" of \"@alice:example.org\". It may hold slashes.",
);

/// The field of a captured server.
pub const SERVER_FIELD: Field = Field::new(
    "server",
    FieldKind::Text,
    "Name of the homeserver, such as \"example.org\": what follows the first colon of its user ids.",
);

/// How long leases last.
pub const TTL_FIELD: Field = Field::new(
    "ttl",
    FieldKind::Duration,
    "How long a lease lasts unless it is renewed. Zero leaves it to what is configured more widely.",
);

/// How long leases last at most.
pub const MAX_TTL_FIELD: Field = Field::new(
    "max_ttl",
    FieldKind::Duration,
    "How long a lease lasts at most, renewals included. Zero leaves it to what is configured more \
     widely.",
);

/// Changes how long leases last as a call says.
///
/// # Errors
/// 400 when a time is none, or leases would last longer than at most.
pub fn change_ttls(call: &Call, ttls: &mut Ttls) -> Result<(), LogicalError> {
    if let Some(ttl) = call.duration("ttl")? {
        ttls.set_ttl(ttl);
    }
    if let Some(max_ttl) = call.duration("max_ttl")? {
        ttls.set_max_ttl(max_ttl);
    }
    match (ttls.ttl(), ttls.max_ttl()) {
        (Some(ttl), Some(max_ttl)) if ttl > max_ttl => {
            Err(LogicalError::invalid("ttl must not be longer than max_ttl"))
        }
        _ => Ok(()),
    }
}

/// How long leases last, as it is shown: in whole seconds, and zero where nothing is said.
pub fn shown_ttls(ttls: &Ttls) -> [(String, Value); 2] {
    let seconds = |time: Option<Duration>| json!(time.map_or(0, whole_seconds));
    [("ttl".to_owned(), seconds(ttls.ttl())), ("max_ttl".to_owned(), seconds(ttls.max_ttl()))]
}

/// Text that was sent, without the white space around it; an empty one stands for none.
///
/// # Errors
/// 400 when it is no text.
#[expect(clippy::option_option, reason = "not sent and sent to be none are two things")]
pub fn optional_text(call: &Call, name: &str) -> Result<Option<Option<String>>, LogicalError> {
    let text = call.text(name)?.map(str::trim);
    Ok(text.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty())))
}

/// A session, as whoever asked for it gets it.
pub fn credentials(session: &HeldSession) -> Data {
    let token = session.access_token.as_ref().map_or("", ExposeSecret::expose_secret);
    [
        ("access_token".to_owned(), json!(token)),
        ("device_id".to_owned(), json!(session.device_id)),
        ("user_id".to_owned(), json!(session.user_id)),
        ("homeserver_url".to_owned(), json!(session.homeserver.cs_url)),
    ]
    .into_iter()
    .collect()
}
