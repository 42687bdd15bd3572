//! What goes wrong at a homeserver, as the host answers it.

use synapse_vault_auth_provider_core::homeserver::HomeserverError;

use crate::logical::LogicalError;

/// The error of a request that failed because of the homeserver: 429 for its limits, 400 for what
/// it refuses, and 503 for what may pass or is its own fault.
#[must_use]
pub fn of_homeserver(action: &str, error: &HomeserverError) -> LogicalError {
    let status = match error.status() {
        Some(429) => 429,
        Some(400..=499) => 400,
        _ => 503,
    };
    LogicalError::status(status, format!("cannot {action}: {error}"))
}

/// Whether the homeserver does not know the token: the session has ended.
#[must_use]
pub fn is_unknown_token(error: &HomeserverError) -> bool {
    error.status() == Some(401) && error.errcode() == Some("M_UNKNOWN_TOKEN")
}
