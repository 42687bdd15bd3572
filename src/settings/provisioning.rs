//! What the provisioning helper may be given, checked and given its types.

use std::time::Duration;

use serde_json::Value;

use super::environment::Environment;
use super::error::{Lacking, SettingsError, in_key};
use super::proxies::checked_proxy;
use super::section::Section;
use super::sources::{Merged, Precedence, Sources, TokenOrigin};
use super::value::parse_lifetime;
use super::{keys, mas, module, tls, vault};
use crate::homeserver::{self, ConnectionConfig, HomeserverUrl};
use crate::http::Proxies;
use crate::provisioning::{Config, LoginTimes};
use crate::vault::{Mount, PathRoot, Version};

const HOMESERVER: &str = "homeserver";
const CA_CERT: &str = "ca_cert";
const SERVER_NAME: &str = "server_name";
const REGISTRATION_SHARED_SECRET: &str = "registration_shared_secret";
const ADMIN_ACCESS_TOKEN: &str = "admin_access_token";
const MAS_SHARED_SECRET: &str = "mas_shared_secret";
const TIMEOUT: &str = "timeout";
const ENGINE: &str = "engine";

/// What is said of Matrix Authentication Service, and our client there.
const MAS: mas::Names = mas::Names {
    admin_api: "mas_admin_api",
    client_id: "mas_client_id",
    client_secret: "mas_client_secret",
    token_endpoint: "mas_token_endpoint",
    ca_cert: "mas_ca_cert",
    trust_setting: "--mas-ca-cert or SYNAPSE_VAULT_MAS_CA_CERT",
};

/// The keys that say that there is a client.
const MAS_CLIENT: &[&str] =
    &["mas_admin_api", "mas_client_id", "mas_client_secret", "mas_client_secret_file"];

/// How long Matrix Authentication Service may take to answer one request.
const LONGEST_MAS_ANSWER: Duration = Duration::from_secs(30);

/// Reads the settings from where they come from.
///
/// # Errors
/// The first key or variable that is unknown, missing, of the wrong type or out of range.
pub fn parse(sources: &Sources, precedence: Precedence) -> Result<Config, SettingsError> {
    let merged = Merged::of(sources, precedence)?;
    let config = read(&merged, &sources.environment).map_err(|error| merged.name_source(error))?;
    // What only logins know need not be right for provisioning.
    Ok(Config {
        login_times: login_times(sources).unwrap_or_default(),
        mas_session_lifetime: mas_session_lifetime(sources),
        mas_passes_other_logins: of_mas(sources, "pass_other_logins") == Some(&Value::Bool(true)),
        ..config
    })
}

/// Reads where the entries are, and nothing else: no token and no address need be known.
///
/// # Errors
/// The first key or variable that is unknown, missing, of the wrong type or out of range.
pub fn parse_kv_location(
    sources: &Sources,
    precedence: Precedence,
) -> Result<KvLocation, SettingsError> {
    let merged = Merged::of(sources, precedence)?;
    let read = || {
        let mut section = section(&merged, &sources.environment)?;
        Ok(KvLocation {
            version: vault::kv_version(&mut section)?,
            mount: vault::mount(&mut section)?,
            path_root: vault::path_root(&mut section)?,
        })
    };
    read().map_err(|error| merged.name_source(error))
}

/// Where the token for Vault comes from, if anything says one.
///
/// # Errors
/// The module's configuration has a key that the module does not know.
pub fn token_origin(
    sources: &Sources,
    precedence: Precedence,
) -> Result<Option<TokenOrigin>, SettingsError> {
    Ok(Merged::of(sources, precedence)?.token_origin)
}

/// Where the entries are in Vault.
#[derive(Clone, Debug)]
pub struct KvLocation {
    /// The mount of the KV engine.
    pub mount: Mount,
    /// Its version; `None` if Vault is to be asked for it.
    pub version: Option<Version>,
    /// The path below the mount.
    pub path_root: PathRoot,
}

fn section<'a>(
    merged: &Merged,
    environment: &'a Environment,
) -> Result<Section<'a>, SettingsError> {
    let keys = [keys::PROVISIONING, keys::VAULT].concat();
    // What provisions may be a command that ends soon.
    Section::new(merged.values.clone(), environment, &keys).map(Section::with_pipes)
}

fn read(merged: &Merged, environment: &Environment) -> Result<Config, SettingsError> {
    let mut section = section(merged, environment)?;
    let homeserver = section.required(
        HOMESERVER,
        "the homeserver's URL, such as \"http://localhost:8008\" \
         (or set the environment variable SYNAPSE_VAULT_HOMESERVER)",
    )?;
    let url = in_key(HOMESERVER, HomeserverUrl::parse(&homeserver))?;
    let proxies = Proxies::from_environment(environment);
    checked_proxy(&proxies, url.base())?;
    Ok(Config {
        homeserver: ConnectionConfig {
            tls: tls::read_trust(&mut section, CA_CERT, url.base().is_https(), false)?,
            proxies,
            url,
        },
        server_name: server_name(&mut section)?,
        registration_shared_secret: section.credential(REGISTRATION_SHARED_SECRET)?,
        admin_access_token: section.credential(ADMIN_ACCESS_TOKEN)?,
        mas: mas_client(&mut section)?,
        mas_session_lifetime: None,
        mas_passes_other_logins: false,
        mas_shared_secret: section.credential(MAS_SHARED_SECRET)?,
        timeout: section.timeout(TIMEOUT, Duration::from_secs(60))?,
        vault: {
            let mut lacking = Lacking::default();
            let vault = vault::read(&mut section, &mut lacking)?;
            lacking.complete(vault)?
        },
        secrets_engine: section.string(ENGINE)?.is_some(),
        login_times: None,
    })
}

/// The client that may use the admin API of Matrix Authentication Service, if anything is said of it.
fn mas_client(section: &mut Section<'_>) -> Result<Option<homeserver::mas::Config>, SettingsError> {
    if !section.says_any(MAS_CLIENT) {
        return Ok(None);
    }
    let mut lacking = Lacking::default();
    let server = mas::read_server(section, &MAS, LONGEST_MAS_ANSWER, &mut lacking)?;
    lacking.complete(server).map(Some)
}

/// How long the sessions are that the module opens at Matrix Authentication Service, if its
/// configuration says so.
fn mas_session_lifetime(sources: &Sources) -> Option<Duration> {
    parse_lifetime(of_mas(sources, "session_lifetime")?).ok()
}

/// What the module's configuration says of MAS.
fn of_mas<'a>(sources: &'a Sources, key: &str) -> Option<&'a Value> {
    sources.module.as_ref()?.get("mas")?.get(key)
}

/// How long the module goes on accepting what Vault no longer holds, if its configuration is known.
///
/// # Errors
/// The first key of that configuration that is unknown, of the wrong type or out of range.
pub fn login_times(sources: &Sources) -> Result<Option<LoginTimes>, SettingsError> {
    let Some(module) = &sources.module else { return Ok(None) };
    let keys = [keys::VAULT, keys::LOGIN].concat();
    let mut section = Section::new(module.clone(), &sources.environment, &keys)?;
    let cache = module::cache(section.section_or_empty("cache", keys::CACHE)?)?;
    Ok(Some(LoginTimes {
        rotation_grace: section.duration("rotation_grace", Duration::ZERO)?,
        cache_ttl: cache.ttl,
        stale_if_error: cache.stale_if_error,
    }))
}

/// A server name, without what is often written with it.
fn server_name(section: &mut Section<'_>) -> Result<String, SettingsError> {
    let name = section.required(
        SERVER_NAME,
        "the name in its users' ids, such as \"example.org\" \
         (or set the environment variable SYNAPSE_VAULT_SERVER_NAME)",
    )?;
    ruma_common::ServerName::parse(&name).map_err(|_| {
        section.wrong(
            SERVER_NAME,
            "must be the name behind the colon of user ids, such as \"example.org\": \
             no URL, no @",
        )
    })?;
    Ok(name)
}
