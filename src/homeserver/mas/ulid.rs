//! The ids by which MAS knows users, clients and sessions.

use std::fmt;

use serde::Deserialize;

/// Characters in a ULID.
const LENGTH: usize = 26;

/// An id of MAS': 26 letters and digits, which mean nothing in a path or a query.
///
/// Form: <https://github.com/ulid/spec>. MAS takes either case and writes capitals, and so do we.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Ulid(String);

/// A text is no ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a ULID: 26 letters and digits, such as 0000000000000000000SYNAPSE")]
pub struct UlidError;

impl Ulid {
    /// Takes a ULID of either case.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, UlidError> {
        let text = text.to_ascii_uppercase();
        // The first character has three bits, so that all of them have 128.
        let fits = text.len() == LENGTH && text.bytes().next().is_some_and(|first| first <= b'7');
        (fits && text.bytes().all(is_of_alphabet)).then_some(Self(text)).ok_or(UlidError)
    }

    /// The id itself, in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Crockford's Base32 leaves out what is easily mistaken for something else.
fn is_of_alphabet(byte: u8) -> bool {
    byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"ILOU".contains(&byte))
}

impl TryFrom<String> for Ulid {
    type Error = UlidError;

    fn try_from(text: String) -> Result<Self, UlidError> {
        Self::parse(&text)
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulids_are_26_characters_of_crockfords_alphabet() {
        for text in ["0000000000000000000SYNAPSE", "01jz0000000000000000000abc"] {
            assert_eq!(Ulid::parse(text).unwrap().as_str(), text.to_ascii_uppercase());
        }
        for text in [
            "",
            "0000000000000000000SYNAPS",
            "0000000000000000000SYNAPSEX",
            "8000000000000000000SYNAPSE",
            "0000000000000000000SYNAPIE",
            "0000000000000000000SYNAP/E",
            "0000000000000000000SYNAPS\n",
        ] {
            assert!(Ulid::parse(text).is_err(), "{text}");
        }
    }
}
