//! Paths in Vault: the mount, the root below it, and the one place where a user id becomes a path.

use std::fmt;

use crate::user_id::UserId;

/// The path of a KV secrets engine, such as `secret` or `kv/matrix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount(String);

/// The path below the mount under which every user has an entry, such as `matrix/users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRoot(String);

impl Mount {
    /// Takes a path; slashes around it and doubled ones are dropped.
    ///
    /// # Errors
    /// What is not allowed in it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        normalize(text).map(Self)
    }
}

impl Default for Mount {
    fn default() -> Self {
        Self("secret".to_owned())
    }
}

impl PathRoot {
    /// Takes a path; slashes around it and doubled ones are dropped.
    ///
    /// # Errors
    /// What is not allowed in it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        normalize(text).map(Self)
    }

    /// The path below the mount that an entry would have if a user had no localpart.
    #[must_use]
    pub fn entry_of_nobody(&self, server_name: &str) -> String {
        format!("{self}/@:{server_name}")
    }

    /// The path of a user's entry below the mount.
    #[must_use]
    pub fn entry_of(&self, user_id: &UserId) -> String {
        format!("{self}/{user_id}")
    }
}

fn normalize(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("must hold no control character".to_owned());
    }
    let segments: Vec<&str> =
        text.trim().split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.is_empty() {
        return Err("required: must hold more than slashes".to_owned());
    }
    match segments.iter().find(|segment| matches!(**segment, "." | "..")) {
        Some(segment) => Err(format!("must hold no \"{segment}\" segment")),
        None => Ok(segments.join("/")),
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PathRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
