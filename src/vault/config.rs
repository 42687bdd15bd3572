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
