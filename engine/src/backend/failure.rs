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
    LogicalError::status(status, format!("cannot {action}: {error}{}", advice(error)))
}

/// What to look at, where the homeserver's own words say little to whoever configures this.
fn advice(error: &HomeserverError) -> &'static str {
    match (error.status(), error.errcode()) {
        (_, Some("M_FORBIDDEN")) => {
            "; is there such an account, and does the module read the secrets of this mount? \
             The log of the homeserver says why"
        }
        (Some(404 | 405), None) => "; is that the address where it answers clients?",
        _ => "",
    }
}

/// Whether the homeserver does not know the token: the session has ended.
#[must_use]
pub fn is_unknown_token(error: &HomeserverError) -> bool {
    error.status() == Some(401) && error.errcode() == Some("M_UNKNOWN_TOKEN")
}
