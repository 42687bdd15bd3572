//! What a session of Matrix may do.

use std::fmt;

use super::DeviceId;

const CLIENT_API: &str = "urn:matrix:client:api:*";
const DEVICE: &str = "urn:matrix:client:device:";
const SYNAPSE_ADMIN: &str = "urn:synapse:admin:*";

/// The name of a device's scope before it was part of the specification. Clients ask for it still.
const UNSTABLE_DEVICE: &str = "urn:matrix:org.matrix.msc2967.client:device:";

/// The scope of a session: Matrix's client-server API, with one device, and Synapse's admin API if
/// it is said so.
///
/// What a client sends has one way into it, a [`DeviceId`].
///
/// Names: <https://spec.matrix.org/v1.18/client-server-api/#scope>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    device: DeviceId,
    is_admin: bool,
}

impl Scope {
    /// What a client of Matrix may do, with this device.
    #[must_use]
    pub fn of_client(device: DeviceId) -> Self {
        Self { device, is_admin: false }
    }

    /// The same with Synapse's admin API.
    #[must_use]
    pub fn with_synapse_admin(self) -> Self {
        Self { is_admin: true, ..self }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CLIENT_API} {DEVICE}{}", self.device)?;
        if self.is_admin { write!(f, " {SYNAPSE_ADMIN}") } else { Ok(()) }
    }
}

/// The words that stand for a device in the scope of some session, ours first.
pub fn device_words(device: &DeviceId) -> [String; 2] {
    [format!("{DEVICE}{device}"), format!("{UNSTABLE_DEVICE}{device}")]
}

/// The device in the scope of a session, whoever opened it.
pub fn device_in(scope: &str) -> Option<&str> {
    scope
        .split(' ')
        .find_map(|word| word.strip_prefix(DEVICE).or_else(|| word.strip_prefix(UNSTABLE_DEVICE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_one_device() {
        let device = DeviceId::parse("ABCDEFGHIJ", false).unwrap();
        let scope = Scope::of_client(device.clone());
        assert_eq!(
            scope.to_string(),
            "urn:matrix:client:api:* urn:matrix:client:device:ABCDEFGHIJ"
        );
        assert_eq!(device_in(&scope.to_string()), Some("ABCDEFGHIJ"));
        assert_eq!(
            scope.with_synapse_admin().to_string(),
            "urn:matrix:client:api:* urn:matrix:client:device:ABCDEFGHIJ urn:synapse:admin:*"
        );
        let [stable, unstable] = device_words(&device);
        assert_eq!(device_in(&format!("openid {stable}")), Some("ABCDEFGHIJ"));
        assert_eq!(device_in(&unstable), Some("ABCDEFGHIJ"));
        assert_eq!(device_in("openid urn:mas:admin"), None);
    }
}
