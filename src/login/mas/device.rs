//! Who has the device that a client asks for.

use tokio::try_join;

use super::failure::Failure;
use crate::homeserver::mas::{
    DeviceId, MasClient, MasError, PersonalSession, PersonalSessionFilter, SessionPurpose, Ulid,
    User,
};
use crate::retry::{Backoff, Deadline, retry};

/// The sessions that have a device, and that end once another one has it.
#[derive(Debug, Default)]
pub struct Replaced {
    /// Personal sessions that were opened here.
    pub personal: Vec<Ulid>,
    /// Compatibility sessions.
    pub compat: Vec<Ulid>,
}

/// What becomes of the sessions that have a device.
#[derive(Debug)]
pub enum Holders {
    /// They end, as they do when a client logs in at MAS itself.
    Replaced(Replaced),
    /// One of them belongs to a client that a login here must not harm.
    Protected,
}

/// Finds out who has a device of this user.
///
/// # Errors
/// What kept MAS from answering in time.
pub async fn holders(
    client: &MasClient,
    user: &User,
    device: &DeviceId,
    deadline: Deadline,
    backoff: impl Fn() -> Backoff,
) -> Result<Holders, Failure> {
    Ok(retry(deadline, backoff(), || look(client, user, device)).await?)
}

async fn look(client: &MasClient, user: &User, device: &DeviceId) -> Result<Holders, MasError> {
    let on_device = PersonalSessionFilter::OnDevice(device);
    let (has_oauth2, personal, compat) = try_join!(
        client.has_oauth2_session_on(&user.id, device),
        client.personal_sessions(&user.id, on_device),
        client.compat_sessions(&user.id, true),
    )?;
    let is_of_others = |session: &PersonalSession| !is_kept(session) && !is_ours(client, session);
    if has_oauth2 || personal.iter().any(is_of_others) {
        return Ok(Holders::Protected);
    }
    let has_device = |held: &Option<String>| held.as_deref() == Some(device.as_str());
    Ok(Holders::Replaced(Replaced {
        personal: personal
            .into_iter()
            .filter(|session| !is_kept(session))
            .map(|session| session.id)
            .collect(),
        compat: compat
            .into_iter()
            .filter(|session| has_device(&session.attributes.device_id))
            .map(|session| session.id)
            .collect(),
    }))
}

/// Whether a session was opened with our client.
pub fn is_ours(client: &MasClient, session: &PersonalSession) -> bool {
    session.owner_client_id.as_ref() == Some(client.client_id())
}

/// Whether the token of a session is kept for a program that cannot log in.
fn is_kept(session: &PersonalSession) -> bool {
    session.purpose() == Some(SessionPurpose::Kept)
}
