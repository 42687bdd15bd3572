//! The module's configuration: what an administrator may write, checked and given its types.

mod duration;
mod section;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::vault::{Address, Mount, PathRoot, Token};
use section::Section;

/// Environment variables, as they were when the configuration was read.
pub type Environment = HashMap<String, String>;

/// What is wrong with one key of the configuration, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct SettingsError {
    /// The key, dotted where it lies inside another.
    pub key: String,
    /// What is allowed there. Never holds the value of a secret.
    pub message: String,
}

impl SettingsError {
    fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// The whole configuration of the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How Vault is reached and where the secrets lie in it.
    pub vault: VaultSettings,
    /// All that one login may spend on Vault, retries included.
    pub login_timeout: Duration,
}

/// How Vault is reached and where the secrets lie in it.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// Where Vault listens.
    pub address: Address,
    /// The token that reads the secrets.
    pub token: Token,
    /// The KV v2 mount.
    pub mount: Mount,
    /// The path below the mount under which every user has an entry.
    pub path_root: PathRoot,
    /// The time one HTTP exchange with Vault may take.
    pub request_timeout: Duration,
}

impl Settings {
    /// Reads the configuration, and from `environment` what Vault's own command line takes there.
    ///
    /// # Errors
    /// The first key that is unknown, missing, of the wrong type or out of range.
    pub fn parse(
        config: Map<String, Value>,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let mut section = Section::new(config, environment);
        let address = section.string_or_variable("vault_url", &["VAULT_ADDR", "BAO_ADDR"]);
        let token = section.secret_or_variable("vault_token", &["VAULT_TOKEN", "BAO_TOKEN"]);
        let path_root = section.string("vault_path_root");
        let mount = section.string("vault_kv_mount_point");
        let request_timeout = section.duration("request_timeout", Duration::from_secs(5));
        let login_timeout = section.duration("login_timeout", Duration::from_secs(10));
        // A misspelt key is what made another one missing: say the former.
        section.refuse_unknown_keys()?;

        let address = address?.ok_or_else(|| {
            SettingsError::new(
                "vault_url",
                "required: the address of Vault, such as \"https://vault.example.org:8200\" \
                 (or set the environment variable VAULT_ADDR)",
            )
        })?;
        let address = in_key(address.key, Address::parse(&address.value))?;
        let token = token?.ok_or_else(|| {
            SettingsError::new(
                "vault_token",
                "required: a token that may read the secrets \
                 (or set the environment variable VAULT_TOKEN)",
            )
        })?;
        let path_root = path_root?.ok_or_else(|| {
            SettingsError::new(
                "vault_path_root",
                "required: the path below the mount that holds an entry for each user, \
                 such as \"matrix/users\"",
            )
        })?;
        Ok(Self {
            vault: VaultSettings {
                address,
                token: in_key(token.key, Token::parse(&token.value))?,
                mount: match mount? {
                    Some(mount) => in_key("vault_kv_mount_point", Mount::parse(&mount))?,
                    None => Mount::default(),
                },
                path_root: in_key("vault_path_root", PathRoot::parse(&path_root))?,
                request_timeout: request_timeout?,
            },
            login_timeout: login_timeout?,
        })
    }
}

/// Names the key whose value is wrong.
fn in_key<T, E: ToString>(key: &str, result: Result<T, E>) -> Result<T, SettingsError> {
    result.map_err(|error| SettingsError::new(key, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse_with(config: Value, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let Value::Object(config) = config else { panic!("a mapping") };
        Settings::parse(config, &environment)
    }

    fn parse(config: Value) -> Result<Settings, SettingsError> {
        parse_with(config, &[])
    }

    /// The configuration of 2018 with one key set to another value.
    fn with(key: &str, value: Value) -> Value {
        let mut config = json!({
            "vault_url": "https://localhost:8200",
            "vault_token": "hvs.token",
            "vault_path_root": "matrix/users",
            "vault_kv_mount_point": "secret",
        });
        config[key] = value;
        config
    }

    fn error(config: Value) -> String {
        parse(config).unwrap_err().to_string()
    }

    #[test]
    fn the_configuration_of_2018() {
        let settings = parse(with("vault_kv_mount_point", json!("secret"))).unwrap();
        assert_eq!(settings.vault.mount.to_string(), "secret");
        assert_eq!(settings.vault.path_root.to_string(), "matrix/users");
        assert_eq!(settings.vault.request_timeout, Duration::from_secs(5));
        assert_eq!(settings.login_timeout, Duration::from_secs(10));
    }

    #[test]
    fn stray_slashes_are_forgiven() {
        let settings = parse(with("vault_path_root", json!("//matrix///users/"))).unwrap();
        assert_eq!(settings.vault.path_root.to_string(), "matrix/users");
        let settings = parse(with("vault_kv_mount_point", json!("/kv/deep/"))).unwrap();
        assert_eq!(settings.vault.mount.to_string(), "kv/deep");
        let settings = parse(with("vault_kv_mount_point", json!(null))).unwrap();
        assert_eq!(settings.vault.mount.to_string(), "secret");
    }

    #[test]
    fn the_environment_fills_in() {
        let config = json!({"vault_path_root": "u", "vault_token": ""});
        let variables = [
            ("BAO_ADDR", "http://bao:8200"),
            ("VAULT_ADDR", "http://vault:8200"),
            ("BAO_TOKEN", "b"),
            ("VAULT_TOKEN", "bad\ntoken"),
        ];
        let environment = &variables[..3];
        let settings = parse_with(config.clone(), environment).unwrap();
        assert_eq!(settings.vault.address.to_string(), "http://vault:8200");
        let error = parse_with(config, &variables).unwrap_err();
        assert_eq!(error.key, "VAULT_TOKEN");
        let empty = parse_with(with("vault_token", json!("")), &[("VAULT_TOKEN", "")]);
        assert_eq!(empty.unwrap_err().key, "vault_token");
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_likely_meaning() {
        let mistakes = [
            ("vault_kv_mount", "vault_kv_mount_point"),
            ("vault_addr", "vault_url"),
            ("vault_path", "vault_path_root"),
            ("request_timout", "request_timeout"),
            ("token", "vault_token"),
            ("url", "vault_url"),
            ("VAULT_TOKEN", "vault_token"),
        ];
        for (typo, meant) in mistakes {
            let text = error(with(typo, json!("x")));
            assert!(text.starts_with(&format!("{typo}: ")), "{text}");
            assert!(text.contains(&format!("did you mean {meant}?")), "{text}");
        }
        let text = error(with("colour", json!("x")));
        assert!(text.contains("known keys: "), "{text}");
        // The misspelt key, and not the required one that it should have been.
        let text =
            error(json!({"vault_url": "http://v", "vault_token": "t", "vault_path_rot": ""}));
        assert!(text.starts_with("vault_path_rot: "), "{text}");
    }

    #[test]
    fn wrong_values_name_their_key_and_what_is_allowed() {
        for (key, value, expected) in [
            ("vault_url", json!(8200), "a string, not a number"),
            ("vault_url", json!(["http://a"]), "a string, not a list"),
            ("vault_url", json!("localhost:8200"), "http:// or https://"),
            ("vault_url", json!("localhost"), "http:// or https://"),
            ("vault_url", json!("ftp://localhost"), "http:// or https://"),
            ("vault_url", json!("https://"), "not an address"),
            ("vault_url", json!("https://me:pw@localhost"), "vault_token"),
            ("vault_url", json!("https://localhost/?x=1"), "\"?\""),
            ("vault_url", json!("https://localhost/v1"), "/v1"),
            ("vault_token", json!(1234), "a string, not a number"),
            ("vault_token", json!("tok\u{e9}n"), "character"),
            ("vault_token", json!("one\ntwo"), "character"),
            ("vault_path_root", json!(""), "required"),
            ("vault_path_root", json!("/"), "required"),
            ("vault_path_root", json!("a/../b"), "\"..\""),
            ("vault_path_root", json!("a\tb"), "control character"),
            ("vault_kv_mount_point", json!("./kv"), "\".\""),
            ("vault_kv_mount_point", json!({}), "a string, not a mapping"),
            ("request_timeout", json!("soon"), "\"250ms\""),
            ("request_timeout", json!(0), "above zero"),
            ("request_timeout", json!(-1), "above zero"),
            ("request_timeout", json!("0s"), "above zero"),
            ("request_timeout", json!(true), "not true or false"),
            ("login_timeout", json!(1e300), "at most"),
            ("login_timeout", json!("2h"), "at most"),
            ("login_timeout", json!([]), "not a list"),
        ] {
            let text = error(with(key, value.clone()));
            assert!(text.starts_with(&format!("{key}: ")), "{value}: {text}");
            assert!(text.contains(expected), "{value}: {text}");
        }
    }

    #[test]
    fn durations() {
        for (value, milliseconds) in [
            (json!(2), 2000),
            (json!(0.25), 250),
            (json!("250ms"), 250),
            (json!("5s"), 5000),
            (json!("10m"), 600_000),
            (json!("1h"), 3_600_000),
            (json!("3"), 3000),
            (json!("1.5"), 1500),
        ] {
            let settings = parse(with("login_timeout", value)).unwrap();
            assert_eq!(settings.login_timeout, Duration::from_millis(milliseconds));
        }
    }

    #[test]
    fn no_secret_shows() {
        let settings = parse(with("vault_token", json!("hvs.s3cret"))).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
        for token in [json!("s3cret\u{1}"), json!(["s3cret"]), json!({"s3cret": 1})] {
            assert!(!error(with("vault_token", token)).contains("s3cret"));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(key in "[a-z_]{0,20}", text in ".*", number in any::<f64>()) {
            for key in [key.as_str(), "vault_url", "vault_token", "vault_path_root",
                        "vault_kv_mount_point", "request_timeout", "login_timeout"] {
                let _ = parse(with(key, json!(text)));
                let _ = parse(with(key, json!(number)));
            }
        }
    }
}
