//! What the provisioning helper may be given, checked and given its types.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::environment::Environment;
use super::error::{SettingsError, in_key};
use super::section::Section;
use super::{keys, vault};
use crate::homeserver::HomeserverUrl;
use crate::provisioning::Config;

/// Environment variables that fill in for keys, and the keys that make them unnecessary as well.
///
/// Vault's own variables fill in for what is left, as they do for the module.
const VARIABLES: &[(&str, &str, &[&str])] = &[
    ("SYNAPSE_VAULT_HOMESERVER", HOMESERVER, &[]),
    ("SYNAPSE_VAULT_SERVER_NAME", SERVER_NAME, &[]),
    (
        "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET",
        REGISTRATION_SHARED_SECRET,
        &["registration_shared_secret_file"],
    ),
    (
        "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET_FILE",
        "registration_shared_secret_file",
        &[REGISTRATION_SHARED_SECRET],
    ),
    ("SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN", ADMIN_ACCESS_TOKEN, &["admin_access_token_file"]),
    ("SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN_FILE", "admin_access_token_file", &[ADMIN_ACCESS_TOKEN]),
    ("SYNAPSE_VAULT_TIMEOUT", TIMEOUT, &[]),
    ("SYNAPSE_VAULT_PATH_ROOT", "vault_path_root", &[]),
    ("SYNAPSE_VAULT_KV_MOUNT_POINT", "vault_kv_mount_point", &[]),
    ("SYNAPSE_VAULT_KV_VERSION", "vault_kv_version", &[]),
    ("SYNAPSE_VAULT_TOKEN_FILE", "vault_token_file", &["vault_token", "vault_auth"]),
    (VAULT_AUTH_VARIABLE, "vault_auth", &["vault_token", "vault_token_file"]),
];

/// The one variable whose value is not a string but a mapping, in JSON.
const VAULT_AUTH_VARIABLE: &str = "SYNAPSE_VAULT_AUTH";

const HOMESERVER: &str = "homeserver";
const SERVER_NAME: &str = "server_name";
const REGISTRATION_SHARED_SECRET: &str = "registration_shared_secret";
const ADMIN_ACCESS_TOKEN: &str = "admin_access_token";
const TIMEOUT: &str = "timeout";

/// Reads what was given, and from `environment` what was not.
///
/// # Errors
/// The first key or variable that is unknown, missing, of the wrong type or out of range.
pub fn parse(
    mut given: Map<String, Value>,
    environment: &Environment,
) -> Result<Config, SettingsError> {
    let variable_of = fill_in(&mut given, environment);
    read(given, environment).map_err(|error| match variable_of.get(error.key.as_str()) {
        Some(variable) => SettingsError::new(*variable, error.message),
        None => error,
    })
}

fn read(given: Map<String, Value>, environment: &Environment) -> Result<Config, SettingsError> {
    let keys = [keys::PROVISIONING, keys::VAULT].concat();
    let mut section = Section::new(given, environment, &keys)?;
    let homeserver = section.required(
        HOMESERVER,
        "the homeserver's URL, such as \"http://localhost:8008\" \
         (or set the environment variable SYNAPSE_VAULT_HOMESERVER)",
    )?;
    Ok(Config {
        homeserver: in_key(HOMESERVER, HomeserverUrl::parse(&homeserver))?,
        server_name: server_name(&mut section)?,
        registration_shared_secret: section.credential(REGISTRATION_SHARED_SECRET)?,
        admin_access_token: section.credential(ADMIN_ACCESS_TOKEN)?,
        timeout: section.timeout(TIMEOUT, Duration::from_secs(60))?,
        vault: vault::read(&mut section)?,
    })
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

/// Takes from the environment what was not given; returns which key came from which variable.
fn fill_in(
    given: &mut Map<String, Value>,
    environment: &Environment,
) -> HashMap<&'static str, &'static str> {
    let is_given = |given: &Map<String, Value>, key: &str| {
        given.get(key).is_some_and(|value| !value.is_null())
    };
    let missing: Vec<_> = VARIABLES
        .iter()
        .filter(|(_, key, rivals)| {
            !is_given(given, key) && !rivals.iter().any(|rival| is_given(given, rival))
        })
        .collect();
    let mut variable_of = HashMap::new();
    for (variable, key, _) in missing {
        if let Some(value) = environment.get(*variable).filter(|value| !value.is_empty()) {
            let value = match *variable {
                VAULT_AUTH_VARIABLE => serde_json::from_str(value).unwrap_or(Value::Null),
                _ => value.as_str().into(),
            };
            given.insert((*key).to_owned(), value);
            variable_of.insert(*key, *variable);
        }
    }
    variable_of
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(given: Value, variables: &[(&str, &str)]) -> Result<Config, String> {
        let Value::Object(given) = given else { return Err("no mapping".to_owned()) };
        let environment =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        super::parse(given, &environment).map_err(|error| error.to_string())
    }

    fn enough() -> Value {
        json!({
            "homeserver": "http://localhost:8008",
            "server_name": "example.org",
            "vault_url": "http://localhost:8200",
            "vault_token": "token",
            "vault_path_root": "users",
        })
    }

    #[test]
    fn all_may_come_from_the_environment() {
        let settings = parse(
            json!({}),
            &[
                ("SYNAPSE_VAULT_HOMESERVER", "https://matrix.example.org"),
                ("SYNAPSE_VAULT_SERVER_NAME", "example.org"),
                ("SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN", "syt_x"),
                ("SYNAPSE_VAULT_PATH_ROOT", "matrix/users"),
                ("SYNAPSE_VAULT_TIMEOUT", "5m"),
                ("SYNAPSE_VAULT_KV_VERSION", "2"),
                ("VAULT_ADDR", "http://localhost:8200"),
                ("VAULT_TOKEN", "token"),
            ],
        )
        .unwrap();
        assert_eq!(settings.timeout, Duration::from_secs(300));
        assert!(settings.admin_access_token.is_some());
        assert!(settings.registration_shared_secret.is_none());
        assert!(!format!("{settings:?}").contains("syt_x"));
    }

    #[test]
    fn a_login_to_vault_may_come_from_the_environment() {
        let mut given = enough();
        given.as_object_mut().unwrap().remove("vault_token");
        let auth = r#"{"method": "userpass", "username": "u", "password": "p"}"#;
        let settings = parse(given.clone(), &[("SYNAPSE_VAULT_AUTH", auth)]).unwrap();
        assert!(matches!(settings.vault.token_source, crate::vault::TokenSource::Login(_)));
        let message = parse(given.clone(), &[("SYNAPSE_VAULT_AUTH", "userpass")]).unwrap_err();
        assert!(message.starts_with("SYNAPSE_VAULT_AUTH: is empty"), "{message}");
        let auth = r#"{"method": "userpas"}"#;
        let message = parse(given, &[("SYNAPSE_VAULT_AUTH", auth)]).unwrap_err();
        assert!(message.contains("method"), "{message}");
    }

    #[test]
    fn what_is_given_goes_first() {
        let variables = [
            ("SYNAPSE_VAULT_SERVER_NAME", "other.org"),
            ("SYNAPSE_VAULT_TOKEN_FILE", "/nonexistent/token"),
        ];
        assert_eq!(parse(enough(), &variables).unwrap().server_name, "example.org");
    }

    #[test]
    fn errors_name_the_key_or_the_variable() {
        let mut given = enough();
        for (key, value, error) in [
            ("homeserver", json!("localhost"), "homeserver: "),
            ("server_name", json!("https://example.org"), "server_name: must be the name"),
            ("timeout", json!("soon"), "timeout: must be a number of seconds"),
            ("homserver", json!("x"), "homserver: unknown key; did you mean homeserver?"),
            ("admin_token", json!("x"), "admin_token: unknown key"),
        ] {
            let former = given[key].take();
            given[key] = value;
            let message = parse(given.clone(), &[]).unwrap_err();
            assert!(message.starts_with(error), "{message}");
            given[key] = former;
            if given[key].is_null() {
                given.as_object_mut().unwrap().remove(key);
            }
        }
        given.as_object_mut().unwrap().remove("server_name");
        let message = parse(given.clone(), &[]).unwrap_err();
        assert!(message.contains("SYNAPSE_VAULT_SERVER_NAME"), "{message}");
        let message = parse(given, &[("SYNAPSE_VAULT_SERVER_NAME", "a b")]).unwrap_err();
        assert!(message.starts_with("SYNAPSE_VAULT_SERVER_NAME: must"), "{message}");
    }
}
