//! Sessions of ours whose token has ended: MAS keeps them, with their devices, until they are ended.

use super::device::is_ours;
use crate::homeserver::mas::{
    DeviceId, MasClient, MasError, PersonalSessionFilter, SessionPurpose, Timestamp, Ulid,
};

/// How many are ended at one login. The next one goes on.
const AT_ONCE: usize = 20;

/// Ends the sessions of a user that logins have opened and that had expired by `now`, which is what
/// MAS' clock says. One on the device that has been used just now stays.
pub async fn end(
    client: &MasClient,
    user: &Ulid,
    device: &DeviceId,
    now: &Timestamp,
) -> Result<(), MasError> {
    let expired = client.personal_sessions(user, PersonalSessionFilter::ExpiredBefore(now)).await?;
    let swept = expired.into_iter().filter(|session| {
        session.purpose() == Some(SessionPurpose::Login)
            && is_ours(client, session)
            && session.device_id() != Some(device.as_str())
    });
    for session in swept.take(AT_ONCE) {
        client.revoke_personal_session(&session.id).await?;
    }
    Ok(())
}
