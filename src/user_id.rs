//! Matrix user ids that are safe to look up.
//!
//! Grammar: <https://spec.matrix.org/v1.16/appendices/#user-identifiers>. Homeservers keep
//! "historical" ids outside today's grammar (any Unicode, slashes anywhere), so this admits those
//! and refuses what could be mistaken for something else on its way to Vault.
//!
//! [`UserId::from_input`] is the one way from what a person, a client or a file says to an id.

use std::fmt;

use crate::text::is_printable;

/// Longest user id that Matrix allows, in bytes of UTF-8.
const MAX_LENGTH: usize = 255;

/// A user id of this homeserver whose Vault path is its own and no other id's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

/// Why an id is not looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserIdError {
    /// The id is well formed and belongs to another homeserver.
    #[error("the user id belongs to another homeserver")]
    Foreign,
    /// The id is empty, has no server name, or has no localpart.
    #[error("this is no user id of the form @localpart:server")]
    Malformed,
    /// The id is longer than Matrix allows.
    #[error("the user id is longer than 255 bytes")]
    TooLong,
    /// The id holds a character that does not print: URL parsers drop some in silence, and Vault
    /// refuses paths with any.
    #[error("the user id holds a control character or another one that does not print")]
    Unprintable,
    /// Cut at its slashes the id has an empty, `.` or `..` part, which URL parsers resolve.
    #[error("the user id holds an empty, \".\" or \"..\" path segment")]
    PathSegment,
    /// A new account may not have the id: its localpart is not of today's grammar.
    #[error("a new user id is of the letters a to z, digits and ._=-/+")]
    Historical,
}

impl UserId {
    /// Reads what somebody writes for a user: the whole id, or the localpart of one of this server.
    ///
    /// What begins with an `@` is a whole id, as Synapse takes it too.
    ///
    /// # Errors
    /// [`UserIdError`] says which rule it breaks.
    pub fn from_input(text: &str, server_name: &str) -> Result<Self, UserIdError> {
        Self::parse(&Self::complete(text, server_name), server_name)
    }

    /// The same for an account that is to be made.
    ///
    /// # Errors
    /// The same, and [`UserIdError::Historical`].
    pub fn of_new_account(text: &str, server_name: &str) -> Result<Self, UserIdError> {
        let user_id = Self::from_input(text, server_name)?;
        if user_id.may_be_registered() { Ok(user_id) } else { Err(UserIdError::Historical) }
    }

    /// The whole id that somebody means, unchecked: for messages about an id that is wrong.
    #[must_use]
    pub fn complete(text: &str, server_name: &str) -> String {
        if text.starts_with('@') { text.to_owned() } else { format!("@{text}:{server_name}") }
    }

    /// Checks a whole id of any server.
    ///
    /// # Errors
    /// [`UserIdError`] says which rule it breaks; never [`UserIdError::Foreign`].
    pub fn of_any_server(user_id: &str) -> Result<Self, UserIdError> {
        let server_name = user_id.split_once(':').map_or("", |(_, server_name)| server_name);
        Self::parse(user_id, server_name)
    }

    /// Checks that `user_id` belongs to `server_name` and names one entry in Vault.
    ///
    /// # Errors
    /// [`UserIdError`] says which rule it breaks.
    pub fn parse(user_id: &str, server_name: &str) -> Result<Self, UserIdError> {
        if user_id.len() > MAX_LENGTH {
            return Err(UserIdError::TooLong);
        }
        if !user_id.chars().all(is_printable) {
            return Err(UserIdError::Unprintable);
        }
        // The server name may hold colons itself (ports, IPv6); a localpart never does.
        match user_id.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
            None | Some(("", _) | (_, "")) => return Err(UserIdError::Malformed),
            Some((_, server)) if server != server_name => return Err(UserIdError::Foreign),
            Some(_) => {}
        }
        if user_id.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(UserIdError::PathSegment);
        }
        Ok(Self(user_id.to_owned()))
    }

    /// Whether a new account may have the id: its localpart is of today's grammar.
    #[must_use]
    pub fn may_be_registered(&self) -> bool {
        let localpart = self.0.strip_prefix('@').and_then(|rest| rest.split_once(':'));
        localpart.is_some_and(|(localpart, _)| {
            localpart.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._=-/+".contains(&byte)
            })
        })
    }

    /// The whole id, `@localpart:server`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same id with no capital letters of ASCII in its localpart, as accounts of today have it.
    #[must_use]
    pub fn in_lower_case(&self) -> Self {
        match self.0.split_once(':') {
            Some((localpart, server_name)) => {
                Self(format!("{}:{server_name}", localpart.to_ascii_lowercase()))
            }
            None => self.clone(),
        }
    }

    /// The part between the `@` and the first colon.
    #[must_use]
    pub fn localpart(&self) -> &str {
        let localpart = self.0.strip_prefix('@').and_then(|rest| rest.split_once(':'));
        localpart.map_or("", |(localpart, _)| localpart)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_this_server() {
        let long = format!("@{}:example.org", "l".repeat(242));
        assert_eq!(long.len(), 255);
        for id in [
            "@alice:example.org",
            "@a/b:example.org",
            "@a/..:example.org",
            "@../b:example.org",
            "@x+y=z.q_w-e:example.org",
            "@ü 日本%2f?#\\:example.org",
            &long,
        ] {
            assert_eq!(UserId::parse(id, "example.org").unwrap().as_str(), id);
        }
        assert!(UserId::parse("@a:[2001:db8::1]:8448", "[2001:db8::1]:8448").is_ok());
    }

    #[test]
    fn ids_of_todays_grammar() {
        for (id, expected) in [
            ("@alice:example.org", true),
            ("@a-z_0.9=/+:example.org", true),
            ("@Alice:example.org", false),
            ("@a b:example.org", false),
            ("@ü:example.org", false),
            ("@a~:example.org", false),
        ] {
            let user_id = UserId::parse(id, "example.org").unwrap();
            assert_eq!(user_id.may_be_registered(), expected, "{id:?}");
        }
    }

    #[test]
    fn a_localpart_alone_is_of_this_server() {
        use UserIdError::{Foreign, Historical, Malformed, PathSegment};
        for (input, expected) in [
            ("alice", Ok("@alice:example.org")),
            ("@alice:example.org", Ok("@alice:example.org")),
            ("Alice", Ok("@Alice:example.org")),
            ("", Err(Malformed)),
            ("@alice", Err(Malformed)),
            ("alice:example.org", Err(Foreign)),
            ("@alice:evil.org", Err(Foreign)),
            ("a/../b", Err(PathSegment)),
        ] {
            let user_id = UserId::from_input(input, "example.org");
            assert_eq!(user_id.as_ref().map(UserId::as_str), expected.as_ref().copied());
        }
        let new = |input| UserId::of_new_account(input, "example.org").map(|user_id| user_id.0);
        assert_eq!(new("alice").as_deref(), Ok("@alice:example.org"));
        assert_eq!(new("Alice"), Err(Historical));
        assert_eq!(new("a//b"), Err(PathSegment));
    }

    #[test]
    fn a_whole_id_may_be_of_any_server() {
        for id in ["@alice:evil.org", "@a:[2001:db8::1]:8448"] {
            assert_eq!(UserId::of_any_server(id).unwrap().as_str(), id);
        }
        for id in ["alice", "alice:evil.org", "@alice", "@alice:", "@:evil.org"] {
            assert_eq!(UserId::of_any_server(id), Err(UserIdError::Malformed), "{id:?}");
        }
    }

    #[test]
    fn refused_ids() {
        use UserIdError::{Foreign, Malformed, PathSegment, TooLong, Unprintable};
        for (id, error) in [
            ("", Malformed),
            ("@", Malformed),
            ("alice", Malformed),
            ("@alice", Malformed),
            ("@:example.org", Malformed),
            ("@alice:", Malformed),
            ("alice:example.org", Malformed),
            ("@alice:evil.org", Foreign),
            ("@alice:example.org.evil.org", Foreign),
            ("@alice:EXAMPLE.ORG", Foreign),
            ("@alice:example.org:8448", Foreign),
            ("@alice:x:example.org", Foreign),
            ("@a//b:example.org", PathSegment),
            ("@a/./b:example.org", PathSegment),
            ("@a/../b:example.org", PathSegment),
            ("@al\nice:example.org", Unprintable),
            ("@al\0ice:example.org", Unprintable),
            ("@al\u{7f}ice:example.org", Unprintable),
            ("@al\u{85}ice:example.org", Unprintable),
            ("@al\u{a0}ice:example.org", Unprintable),
            ("@al\u{200b}ice:example.org", Unprintable),
            ("@al\u{2028}ice:example.org", Unprintable),
            ("@al\u{202e}ice:example.org", Unprintable),
            ("@al\u{e000}ice:example.org", Unprintable),
            ("@al\u{10ffff}ice:example.org", Unprintable),
            (&format!("@{}:example.org", "l".repeat(243)), TooLong),
            (&format!("@{}:example.org", "ü".repeat(122)), TooLong),
        ] {
            assert_eq!(UserId::parse(id, "example.org"), Err(error), "{id:?}");
        }
    }

    #[test]
    fn only_the_localpart_has_lower_case() {
        let lowered = |text, server_name| UserId::parse(text, server_name).unwrap().in_lower_case();
        assert_eq!(lowered("@Al/ICE:Example.org", "Example.org").as_str(), "@al/ice:Example.org");
        assert_eq!(lowered("@ÄB:x", "x").as_str(), "@Äb:x");
    }
}
