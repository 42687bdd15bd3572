//! Which device ids may become part of a scope.

use std::fmt;

use crate::random::{RandomError, new_device_id};

/// Fewest characters of a device id that is new.
const SHORTEST: usize = 10;

/// Most characters: Synapse takes no longer ones from MAS.
const LONGEST: usize = 255;

/// A device id that is one word of a scope, whatever a client sent: it holds no space, no quote and
/// nothing but ASCII.
///
/// MAS takes a device id as a part of the scope, which is one text with spaces between its words. An
/// id with a space in it would add a word, such as the one that makes an administrator. So a
/// [`Scope`](super::Scope) is made of this type alone.
///
/// Grammar: <https://spec.matrix.org/v1.18/client-server-api/#allocation-of-device-ids>, and what of
/// it MAS takes in a scope.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DeviceId(String);

/// Why a text is no device id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceIdError {
    /// Too short for a device that does not exist yet.
    #[error("device_id must have at least 10 characters, unless the user has that device already")]
    TooShort,
    /// Too long.
    #[error("device_id must have at most 255 characters")]
    TooLong,
    /// Empty.
    #[error("device_id must not be empty")]
    Empty,
    /// With a character that no scope takes.
    #[error("device_id must be of letters, digits and . _ ~ ! $ & ' ( ) * + , ; = : @ / -")]
    Character,
}

impl DeviceId {
    /// Takes what a client sent. A device that the user has already may have a short id.
    ///
    /// # Errors
    /// Why it is no device id.
    pub fn parse(text: &str, is_known: bool) -> Result<Self, DeviceIdError> {
        if text.is_empty() {
            return Err(DeviceIdError::Empty);
        }
        if !text.bytes().all(is_of_grammar) {
            return Err(DeviceIdError::Character);
        }
        if text.len() > LONGEST {
            return Err(DeviceIdError::TooLong);
        }
        if text.len() < SHORTEST && !is_known {
            return Err(DeviceIdError::TooShort);
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes one up.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn random() -> Result<Self, RandomError> {
        new_device_id().map(Self)
    }

    /// The id itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_of_grammar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~!$&'()*+,;=:@/-".contains(&byte)
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_for_devices_that_exist() {
        assert_eq!(DeviceId::parse("SHORT", false), Err(DeviceIdError::TooShort));
        assert_eq!(DeviceId::parse("SHORT", true).unwrap().as_str(), "SHORT");
        assert_eq!(DeviceId::parse("", true), Err(DeviceIdError::Empty));
        assert!(DeviceId::parse("ABCDEFGHIJ", false).is_ok());
    }

    #[test]
    fn long_ids_end_at_255_characters() {
        assert!(DeviceId::parse(&"a".repeat(255), false).is_ok());
        assert_eq!(DeviceId::parse(&"a".repeat(256), true), Err(DeviceIdError::TooLong));
    }

    #[test]
    fn one_that_is_made_up_is_taken() {
        let device = DeviceId::random().unwrap();
        assert_eq!(DeviceId::parse(device.as_str(), false), Ok(device));
    }

    #[test]
    fn no_word_can_be_added() {
        for text in [
            "AAAAAAAAAA urn:synapse:admin:*",
            "AAAAAAAAAA\turn:mas:admin",
            "AAAAAAAAAA\nurn:mas:admin",
            "AAAAAAAAAA\u{a0}urn:mas:admin",
            "AAAAAAAAAA\0",
            "AAAAAAAAAA\"",
            "AAAAAAAAAA\\",
            "AAAAAAAAAÄ",
            "AAAAAAAAA%20",
        ] {
            assert_eq!(DeviceId::parse(text, true), Err(DeviceIdError::Character), "{text}");
        }
    }
}
