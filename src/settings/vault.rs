//! How Vault is reached and where the secrets lie in it.

use std::time::Duration;

use super::error::{Lacking, SettingsError, in_key};
use super::proxies::checked_proxy;
use super::section::{Section, Sourced};
use super::{auth, headers, keys, proxies, tls, variables};
use crate::http::{Proxies, Tls};
use crate::vault::auth::{AuthCredentials, AuthMethod};
use crate::vault::{
    self, Address, ConnectionConfig, Mount, Namespace, PathRoot, Token, TokenFile, TokenSource,
    Version,
};

/// Reads every key about Vault. `None` if this process lacks something, which is put off.
pub fn read(
    section: &mut Section<'_>,
    lacking: &mut Lacking,
) -> Result<Option<vault::Config>, SettingsError> {
    let addresses = addresses(section)?;
    let is_https = addresses.iter().any(Address::is_https);
    let (tls, tls_keys) = tls::read(section.section_or_empty("vault_tls", keys::TLS)?, is_https)?;
    let checked_tls = lacking.put_off(tls::check(&tls, tls_keys, is_https))?;
    let proxies = Proxies::from_variables(section.environment(), proxies::FOR_VAULT);
    for address in &addresses {
        checked_proxy(&proxies, address.base())?;
        // A proxy is told the host in the URL, which has to be the name in the certificate.
        if let (Some(_), Some(variable)) = (&tls.server_name, proxies.variable_for(address.base()))
            && address.is_https()
        {
            let message = format!(
                "cannot be used for {address}, which {variable} sends through a proxy; \
                 name the address in NO_PROXY"
            );
            return Err(SettingsError::new("vault_tls.server_name", message));
        }
    }
    let token_source = lacking.put_off(token_source(section, &tls))?;
    if let Some(TokenSource::Login(AuthMethod {
        credentials: AuthCredentials::Cert { .. }, ..
    })) = &token_source
        && !addresses.iter().all(Address::is_https)
    {
        return Err(section.wrong("vault_url", "must begin with https:// for the method cert"));
    }
    let namespace = section.string_or_variable("vault_namespace", variables::NAMESPACE)?;
    let namespace = match namespace {
        Some(Sourced { key, value }) => Some(in_key(key, Namespace::parse(&value))?),
        None => None,
    };
    let is_token_added = matches!(token_source, Some(TokenSource::Proxy));
    let headers = lacking.put_off(headers::read(section, is_token_added))?;
    let request_timeout = section.timeout("request_timeout", Duration::from_secs(5))?;
    let (mount, kv_version, path_root) =
        (mount(section)?, kv_version(section)?, path_root(section)?);
    let (Some(()), Some(token_source), Some(headers)) = (checked_tls, token_source, headers) else {
        return Ok(None);
    };
    let connection =
        ConnectionConfig { addresses, namespace, headers, tls, proxies, request_timeout };
    Ok(Some(vault::Config { connection, token_source, mount, kv_version, path_root }))
}

fn addresses(section: &mut Section<'_>) -> Result<Vec<Address>, SettingsError> {
    let addresses: Vec<Address> = section
        .strings_or_variable("vault_url", variables::ADDRESS)?
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
    Ok(addresses)
}

/// One way to a token at most, and the environment only where the configuration has none.
fn token_source(section: &mut Section<'_>, tls: &Tls) -> Result<TokenSource, SettingsError> {
    let token = section.string("vault_token")?;
    let token_file = section.string_unless_absent("vault_token_file")?;
    let auth_keys = auth::keys(section.peek("vault_auth"));
    let auth = section.section_unless_absent("vault_auth", &auth_keys)?;
    match (token, token_file, auth) {
        (Some(token), None, None) => {
            in_key("vault_token", Token::parse(&token.into())).map(TokenSource::Static)
        }
        (None, Some(path), None) => {
            let file = section.secret_file("vault_token_file", &path)?;
            TokenFile::new(file).map(TokenSource::File).map_err(|error| {
                section
                    .wrong("vault_token_file", &format!("the token in {path} {error}"))
                    .of_process()
            })
        }
        (None, None, Some(auth)) => auth::read(auth, tls),
        (None, None, None) => match section.variable(variables::TOKEN) {
            Some(Sourced { key, value }) => {
                in_key(key, Token::parse(&value.into())).map(TokenSource::Static)
            }
            None => Err(section
                .wrong(
                    "vault_token",
                    "required: a token that may read the secrets, or instead of it \
                     vault_token_file or vault_auth (or set the environment variable VAULT_TOKEN)",
                )
                .of_process()),
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

/// The mount of the KV engine.
pub fn mount(section: &mut Section<'_>) -> Result<Mount, SettingsError> {
    match section.string("vault_kv_mount_point")? {
        Some(mount) => in_key("vault_kv_mount_point", Mount::parse(&mount)),
        None => Ok(Mount::default()),
    }
}

/// The path below the mount.
pub fn path_root(section: &mut Section<'_>) -> Result<PathRoot, SettingsError> {
    let root = section.required(
        "vault_path_root",
        "the path below the mount that holds an entry for each user, such as \"matrix/users\"",
    )?;
    in_key("vault_path_root", PathRoot::parse(&root))
}

/// What is said of a path root that repeats what stands before it in Vault's API.
///
/// Vault's own command line shows the path of an entry with its mount and `data/`, where it is
/// copied from; but no entry would be found there.
pub fn odd_path_root(mount: &Mount, path_root: &PathRoot) -> Option<String> {
    let (mount, root) = (mount.to_string(), path_root.to_string());
    let begins = |root: &str, first: &str| {
        root.strip_prefix(first).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let repeated = if begins(&root, &mount) {
        format!("the mount, \"{mount}/\"")
    } else if begins(&root, "data") {
        "\"data/\", which version 2 of the KV engine adds by itself".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "vault_path_root is \"{root}\", which begins with {repeated}; it is the path below the \
         mount, so entries are looked for at {mount}/{root}/"
    ))
}

/// The version of the KV engine; `None` if Vault is to be asked for it.
pub fn kv_version(section: &mut Section<'_>) -> Result<Option<Version>, SettingsError> {
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
