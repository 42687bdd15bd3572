//! Paths in Vault: the mount, the root below it, and the one place where a user id becomes a path.

use std::fmt;

use crate::text::is_printable;
use crate::user_id::UserId;

/// The path of a KV secrets engine, such as `secret` or `kv/matrix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount(String);

/// The path below the mount under which every user has an entry, such as `matrix/users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRoot(String);

/// The path of an entry with its mount in front, as `vault kv get` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullPath(String);

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

    /// Whether a path below the mount is this one, or lies below it.
    #[must_use]
    pub fn covers(&self, below: &str) -> bool {
        below_of(below, &self.0).is_some()
    }

    /// The path of a user's entry below the mount.
    #[must_use]
    pub fn entry_of(&self, user_id: &UserId) -> String {
        format!("{self}/{user_id}")
    }
}

impl FullPath {
    /// Takes a path; slashes around it and doubled ones are dropped.
    ///
    /// # Errors
    /// What is not allowed in it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Vault refuses what does not print.
        if !text.chars().all(is_printable) {
            return Err("must hold no character that does not print".to_owned());
        }
        normalize(text).map(Self)
    }

    /// What of the path is below a mount; empty for the mount itself, `None` if it is elsewhere.
    #[must_use]
    pub fn below(&self, mount: &Mount) -> Option<&str> {
        below_of(&self.0, &mount.0)
    }
}

fn below_of<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(root)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
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

impl fmt::Display for FullPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_its_mount_by_whole_segments() {
        let mount = Mount::parse("kv/deep").unwrap();
        for (path, below) in [
            ("/kv//deep/bots/a/", Some("bots/a")),
            ("kv/deep", Some("")),
            ("kv/deeper/bots", None),
            ("kv", None),
        ] {
            assert_eq!(FullPath::parse(path).unwrap().below(&mount), below, "{path}");
        }
        for path in ["", "//", "kv/../a", "kv/a\nb", "kv/\u{200b}"] {
            assert!(FullPath::parse(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_root_covers_itself_and_what_lies_below() {
        let root = PathRoot::parse("matrix/users").unwrap();
        for (below, is_covered) in
            [("matrix/users", true), ("matrix/users/@a:b", true), ("matrix/users2", false)]
        {
            assert_eq!(root.covers(below), is_covered, "{below}");
        }
    }
}
