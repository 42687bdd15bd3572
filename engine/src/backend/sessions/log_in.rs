//! One login.

use secrecy::ExposeSecret;
use synapse_vault_auth_provider_core::homeserver::{
    HomeserverError, Login, LoginCredentials, LoginEndpoint, Session,
};
use synapse_vault_auth_provider_core::token_hash::token_hash;
use zeroize::Zeroizing;

use crate::backend::homeserver_client::Slot;
use crate::storage::UserConfig;

/// Logs a user in with this device, where the homeserver takes token hashes.
///
/// # Errors
/// What the homeserver has against it, and what kept it from answering.
pub async fn log_in(
    slot: &Slot<'_>,
    user_id: &str,
    user: &UserConfig,
    device_id: &str,
) -> Result<(Session, LoginEndpoint), HomeserverError> {
    let endpoint = slot.client().endpoint();
    let hash = Zeroizing::new(token_hash(user.login_secret.expose_secret(), user_id));
    let login = Login {
        user_id,
        credentials: LoginCredentials::TokenHash(&hash),
        device_id,
        device_name: Some(user.device_name()),
    };
    let result = slot.ask(|homeserver| homeserver.log_in_at(endpoint, &login)).await;
    match result {
        Err(error) if is_elsewhere(&error) => {
            let other = slot.find_endpoint().await?;
            if other == endpoint {
                return Err(error);
            }
            let result = slot.ask(|homeserver| homeserver.log_in_at(other, &login)).await;
            result.map(|session| (session, other))
        }
        result => result.map(|session| (session, endpoint)),
    }
}

/// Whether a homeserver may take token hashes elsewhere by now.
fn is_elsewhere(error: &HomeserverError) -> bool {
    matches!(error.status(), Some(400 | 403 | 404 | 405))
        && matches!(error.errcode(), None | Some("M_UNKNOWN" | "M_UNRECOGNIZED"))
}
