//! How Vault is reached and where the secrets lie in it.

use std::time::Duration;

use super::error::{SettingsError, in_key};
use super::section::{Section, Sourced};
use super::{auth, tls};
use crate::http::Tls;
use crate::vault::auth::{AuthCredentials, AuthMethod};
use crate::vault::{
    self, Address, ConnectionConfig, Mount, Namespace, PathRoot, Token, TokenFile, TokenSource,
    Version,
};

/// What was written, before it is known that every key is a known one.
pub struct Written<'a> {
    addresses: Result<Vec<Sourced<String>>, SettingsError>,
    token: Result<Option<String>, SettingsError>,
    token_file: Result<Option<String>, SettingsError>,
    auth: Result<Option<Section<'a>>, SettingsError>,
    namespace: Result<Option<Sourced<String>>, SettingsError>,
    tls: Result<Section<'a>, SettingsError>,
    mount: Result<Option<String>, SettingsError>,
    kv_version: Result<Option<Version>, SettingsError>,
    path_root: Result<String, SettingsError>,
    request_timeout: Result<Duration, SettingsError>,
}

impl<'a> Written<'a> {
    /// Asks for every key.
    pub fn read(section: &mut Section<'a>) -> Self {
        Self {
            addresses: section.strings_or_variable("vault_url", &["VAULT_ADDR", "BAO_ADDR"]),
            token: section.string("vault_token"),
            token_file: section.string_unless_absent("vault_token_file"),
            auth: section.section_unless_absent("vault_auth"),
            namespace: section
                .string_or_variable("vault_namespace", &["VAULT_NAMESPACE", "BAO_NAMESPACE"]),
            tls: section.section_or_empty("vault_tls"),
            mount: section.string("vault_kv_mount_point"),
            kv_version: kv_version(section),
            path_root: section.required(
                "vault_path_root",
                "the path below the mount that holds an entry for each user, \
                 such as \"matrix/users\"",
            ),
            request_timeout: section.timeout("request_timeout", Duration::from_secs(5)),
        }
    }

    /// Gives the values their types.
    pub fn check(self, section: &Section<'_>) -> Result<vault::Config, SettingsError> {
        let addresses: Vec<Address> = self
            .addresses?
            .into_iter()
            .map(|Sourced { key, value }| in_key(key, Address::parse(&value)))
            .collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(section.wrong(
                "vault_url",
                "required: the address of Vault, such as \"https://vault.example.org:8200\" \
                 (or set the environment variable VAULT_ADDR)",
            ));
        }
        let tls = tls::read(self.tls?, addresses.iter().any(Address::is_https))?;
        let source = source(section, self.token?, self.token_file?, self.auth?, &tls)?;
        if let TokenSource::Login(AuthMethod { proof: AuthCredentials::Cert { .. }, .. }) = &source
            && !addresses.iter().all(Address::is_https)
        {
            return Err(section.wrong("vault_url", "must begin with https:// for the method cert"));
        }
        Ok(vault::Config {
            connection: ConnectionConfig {
                addresses,
                namespace: match self.namespace? {
                    Some(Sourced { key, value }) => Some(in_key(key, Namespace::parse(&value))?),
                    None => None,
                },
                tls,
                request_timeout: self.request_timeout?,
            },
            token_source: source,
            mount: match self.mount? {
                Some(mount) => in_key("vault_kv_mount_point", Mount::parse(&mount))?,
                None => Mount::default(),
            },
            kv_version: self.kv_version?,
            path_root: in_key("vault_path_root", PathRoot::parse(&self.path_root?))?,
        })
    }
}

/// One way to a token at most, and the environment only where the configuration has none.
fn source(
    section: &Section<'_>,
    token: Option<String>,
    token_file: Option<String>,
    auth: Option<Section<'_>>,
    tls: &Tls,
) -> Result<TokenSource, SettingsError> {
    match (token, token_file, auth) {
        (Some(token), None, None) => {
            in_key("vault_token", Token::parse(&token.into())).map(TokenSource::Static)
        }
        (None, Some(path), None) => {
            let file = section.secret_file("vault_token_file", &path)?;
            TokenFile::new(file).map(TokenSource::File).map_err(|error| {
                section.wrong("vault_token_file", &format!("the token in {path} {error}"))
            })
        }
        (None, None, Some(auth)) => auth::read(auth, tls).map(TokenSource::Login),
        (None, None, None) => match section.variable(&["VAULT_TOKEN", "BAO_TOKEN"]) {
            Some(Sourced { key, value }) => {
                in_key(key, Token::parse(&value.into())).map(TokenSource::Static)
            }
            None => Err(section.wrong(
                "vault_token",
                "required: a token that may read the secrets, or instead of it vault_token_file \
                 or vault_auth (or set the environment variable VAULT_TOKEN)",
            )),
        },
        (token, token_file, _) => {
            let first = if token.is_some() { "vault_token" } else { "vault_token_file" };
            let second = if token.is_some() && token_file.is_some() {
                "vault_token_file"
            } else {
                "vault_auth"
            };
            Err(section.wrong(
                second,
                &format!("only one way to a token may be given, and there is {first} as well"),
            ))
        }
    }
}

fn kv_version(section: &mut Section<'_>) -> Result<Option<Version>, SettingsError> {
    use serde_json::Value;

    let key = "vault_kv_version";
    match section.value(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            match value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str() {
                "auto" | "" => Ok(None),
                "1" => Ok(Some(Version::V1)),
                "2" => Ok(Some(Version::V2)),
                _ => Err(section.wrong(key, "must be auto, 1 or 2")),
            }
        }
    }
}
