//! How Vault is reached, who we are to it, and where the secrets lie in it.

use super::connection_config::ConnectionConfig;
use super::mounts::Version;
use super::path::{Mount, PathRoot};
use super::token::source::TokenSource;

/// How Vault is reached, who we are to it, and where the secrets lie in it.
#[derive(Clone, Debug)]
pub struct Config {
    /// How requests get to Vault.
    pub connection: ConnectionConfig,
    /// Where the token comes from that reads the secrets.
    pub token_source: TokenSource,
    /// The mount of the KV engine.
    pub mount: Mount,
    /// The version of the KV engine; asked for if `None`.
    pub kv_version: Option<Version>,
    /// The path below the mount under which every user has an entry.
    pub path_root: PathRoot,
}

impl Config {
    /// Whether the entries of both are the same ones: in the same mount and namespace of the same
    /// Vault, below the same path.
    #[must_use]
    pub fn has_entries_of(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.connection, &other.connection);
        self.mount == other.mount
            && self.path_root == other.path_root
            && ours.namespace == theirs.namespace
            && ours.addresses.iter().any(|address| theirs.addresses.contains(address))
    }

    /// Where the entries are, mount first.
    #[must_use]
    pub fn location(&self) -> String {
        format!("{}/{}", self.mount, self.path_root)
    }
}

#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "what is parsed is written here")]
impl Config {
    /// A static token, the entries below `kv/deep/matrix/users`, and no namespace.
    pub(crate) fn of_test(address: &str) -> Self {
        use std::time::Duration;

        use super::address::Address;
        use super::header::Token;
        use crate::http::{Proxies, Tls};

        Self {
            connection: ConnectionConfig {
                addresses: vec![Address::parse(address).unwrap()],
                namespace: None,
                headers: Vec::new(),
                tls: Tls::default(),
                proxies: Proxies::default(),
                request_timeout: Duration::from_secs(5),
            },
            token_source: TokenSource::Static(Token::parse(&"t".into()).unwrap()),
            mount: Mount::parse("kv/deep").unwrap(),
            kv_version: Some(Version::V2),
            path_root: PathRoot::parse("matrix/users").unwrap(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Address, Namespace};

    #[test]
    fn entries_are_the_same_by_their_place_alone() {
        let config = || Config::of_test("http://a:8200");
        let with = |change: fn(&mut Config)| {
            let mut other = config();
            change(&mut other);
            config().has_entries_of(&other)
        };
        assert!(with(|_| {}));
        assert!(with(|other| other.kv_version = None));
        assert!(with(|other| other.token_source = TokenSource::Proxy));
        // Two nodes of one cluster have the same entries.
        assert!(with(|other| {
            other.connection.addresses.insert(0, Address::parse("http://b:8200").unwrap());
        }));
        assert!(!with(|other| {
            other.connection.addresses = vec![Address::parse("http://b:8200").unwrap()];
        }));
        assert!(!with(|other| {
            other.connection.namespace = Some(Namespace::parse("team").unwrap());
        }));
        assert!(!with(|other| other.mount = Mount::parse("kv").unwrap()));
        assert!(!with(|other| other.path_root = PathRoot::parse("matrix").unwrap()));
        assert_eq!(config().location(), "kv/deep/matrix/users");
    }
}
