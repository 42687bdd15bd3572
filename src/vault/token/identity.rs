//! Whose token it is, as far as Vault tells.

use std::collections::HashMap;
use std::fmt;

use crate::text;

/// What the auth methods call whoever has logged in, in the metadata of a login's answer.
const NAMES: [&str; 6] =
    ["role_name", "username", "service_account_name", "role", "cert_name", "common_name"];

/// Whose token it is, for the log. Holds no token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    name: String,
    path: String,
    entity_id: String,
}

impl Identity {
    /// Takes what Vault tells of a token: its display name, the path of the request that created
    /// it, and the id of its entity. What is empty is left out.
    pub fn new(name: &str, path: &str, entity_id: &str) -> Self {
        let [name, path, entity_id] = [name, path, entity_id].map(text::quote);
        Self { name, path, entity_id }
    }

    /// Takes what Vault tells of a login: the method's metadata, and the id of the entity.
    pub fn of_login(metadata: &HashMap<String, String>, entity_id: &str) -> Self {
        let name = NAMES.iter().find_map(|name| metadata.get(*name));
        Self::new(name.map_or("", String::as_str), "", entity_id)
    }

    /// The same of a token that a request to this path created.
    pub fn from(self, path: &str) -> Self {
        Self { path: text::quote(path), ..self }
    }

    /// Whether Vault has told nothing.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str("one")?,
            name => write!(f, "\"{name}\"")?,
        }
        if !self.path.is_empty() {
            write!(f, " from {}", self.path)?;
        }
        if !self.entity_id.is_empty() {
            write!(f, ", entity {}", self.entity_id)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_vault_has_told() {
        let shown = |name, path, entity| Identity::new(name, path, entity).to_string();
        assert_eq!(
            shown("token-synapse", "auth/token/create", ""),
            "\"token-synapse\" from auth/token/create"
        );
        assert_eq!(shown("", "auth/k8s/login", "1-2"), "one from auth/k8s/login, entity 1-2");
        assert_eq!(shown("a\nb\u{1b}[m", "", ""), "\"a b [m\"");
        assert!(Identity::new("", "", "").is_unknown());
    }

    #[test]
    fn a_login_is_named_by_its_role_or_user() {
        for (key, value) in [("role_name", "synapse"), ("username", "synapse")] {
            let metadata = HashMap::from([
                (key.to_owned(), value.to_owned()),
                ("other".to_owned(), "x".to_owned()),
            ]);
            let identity = Identity::of_login(&metadata, "").from("auth/a/login");
            assert_eq!(identity.to_string(), "\"synapse\" from auth/a/login");
        }
    }
}
