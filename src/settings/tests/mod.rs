//! What administrators write, and what they are told about it: a file for each mapping. Here is what
//! they have in common, and the top level with `cache`.

mod connection;
mod declared_keys;
mod environment;
mod mas;
mod provisioning;
mod tls;
mod tokens;

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Settings, SettingsError, keys};

fn parse_with(config: Value, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
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

/// The least that `mas` needs.
fn mas() -> Value {
    json!({
        "admin_api": "http://localhost:8081",
        "client_id": "0000000000000000000SYNAPSE",
        "client_secret": "s3cret",
    })
}

fn error(config: Value) -> String {
    parse(config).unwrap_err().to_string()
}

/// The configuration of 2018 without its token.
fn tokenless(more: Value) -> Value {
    let mut config = with("vault_token", json!(null));
    if let Value::Object(more) = more {
        for (key, value) in more {
            config[key] = value;
        }
    }
    config
}

/// A file in a directory that is removed with it.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("vault-settings-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_configuration_of_2018() {
    let settings = parse(with("vault_kv_mount_point", json!("secret"))).unwrap();
    assert_eq!(settings.login.vault.mount.to_string(), "secret");
    assert_eq!(settings.login.vault.path_root.to_string(), "matrix/users");
    assert_eq!(settings.login.vault.connection.request_timeout, Duration::from_secs(5));
    assert_eq!(settings.login.login_timeout, Duration::from_secs(10));
}

#[test]
fn a_path_root_that_repeats_the_mount_is_odd() {
    let odd = |root: &str, mount: &str| {
        let mut config = with("vault_path_root", json!(root));
        config["vault_kv_mount_point"] = json!(mount);
        parse(config).unwrap().warnings.join("\n")
    };
    for (root, mount, said) in [
        ("secret/data/matrix/users", "secret", "begins with the mount, \"secret/\""),
        ("secret/matrix/users", "secret", "begins with the mount"),
        ("kv/deep/users", "/kv/deep/", "begins with the mount, \"kv/deep/\""),
        ("data/matrix/users", "secret", "begins with \"data/\""),
        ("/data/", "secret", "begins with \"data/\""),
    ] {
        let warning = odd(root, mount);
        assert!(warning.contains(said), "{root}: {warning}");
    }
    for root in ["matrix/users", "database/users", "secrets/users", "users/data/secret"] {
        assert_eq!(odd(root, "secret"), "");
    }
}

#[test]
fn stray_slashes_are_forgiven() {
    let settings = parse(with("vault_path_root", json!("//matrix///users/"))).unwrap();
    assert_eq!(settings.login.vault.path_root.to_string(), "matrix/users");
    let settings = parse(with("vault_kv_mount_point", json!("/kv/deep/"))).unwrap();
    assert_eq!(settings.login.vault.mount.to_string(), "kv/deep");
    let settings = parse(with("vault_kv_mount_point", json!(null))).unwrap();
    assert_eq!(settings.login.vault.mount.to_string(), "secret");
}

#[test]
fn wrong_values_name_their_key_and_what_is_allowed() {
    for (key, value, expected) in [
        ("vault_url", json!(null), "required"),
        ("vault_url", json!(""), "VAULT_ADDR"),
        ("vault_url", json!({"a": 1}), "not a mapping"),
        ("vault_url", json!(8200), "a string, not a number"),
        ("vault_url", json!([]), "must not be an empty list"),
        ("vault_kv_version", json!("two"), "auto, 1 or 2"),
        ("vault_kv_version", json!(3), "auto, 1 or 2"),
        ("vault_kv_version", json!([]), "auto, 1 or 2"),
        ("vault_kv_version", json!(true), "auto, 1 or 2"),
        ("vault_namespace", json!("/"), "printable ASCII"),
        ("vault_namespace", json!(["team"]), "a string, not a list"),
        ("vault_namespace", json!("te\nam"), "printable ASCII"),
        ("vault_namespace", json!("tëam"), "printable ASCII"),
        ("vault_tls", json!("ca.pem"), "a mapping of keys, not a string"),
        ("vault_tls", json!(true), "a mapping of keys, not true or false"),
        ("max_concurrent_lookups", json!(0), "from 1 to"),
        ("max_concurrent_lookups", json!(1.5), "from 1 to"),
        ("max_concurrent_lookups", json!("many"), "not a string"),
        ("cache", json!(true), "a mapping of keys, not true or false"),
        ("cache", json!("on"), "a mapping of keys, not a string"),
        ("vault_token_file", json!("/nowhere"), "there is vault_token as well"),
        ("vault_auth", json!({"method": "approle"}), "there is vault_token as well"),
        ("vault_url", json!("localhost:8200"), "http:// or https://"),
        ("vault_url", json!("localhost"), "http:// or https://"),
        ("vault_url", json!("ftp://localhost"), "http:// or https://"),
        ("vault_url", json!("https://"), "not an address"),
        ("vault_url", json!("https://me:pw@localhost"), "vault_token"),
        ("vault_url", json!("https://localhost/?x=1"), "\"?\""),
        ("vault_url", json!("https://localhost/v1"), "/v1"),
        ("vault_token", json!(1234), "a string, not a number"),
        ("vault_token", json!(""), "VAULT_TOKEN"),
        ("vault_token", json!("   "), "empty"),
        ("vault_token", json!(["t"]), "a string, not a list"),
        ("vault_token", json!({"t": "t"}), "a string, not a mapping"),
        ("vault_token", json!("tok\u{e9}n"), "character"),
        ("vault_token", json!("one\ntwo"), "character"),
        ("vault_path_root", json!(null), "required"),
        ("vault_path_root", json!(""), "required"),
        ("vault_path_root", json!("///"), "more than slashes"),
        ("vault_path_root", json!(true), "a string, not true or false"),
        ("vault_path_root", json!("/"), "required"),
        ("vault_path_root", json!("a/../b"), "\"..\""),
        ("vault_path_root", json!("a\tb"), "control character"),
        ("vault_kv_mount_point", json!("./kv"), "\".\""),
        ("vault_kv_mount_point", json!("kv\n"), "no control character"),
        ("vault_kv_mount_point", json!(2), "a string, not a number"),
        ("vault_kv_mount_point", json!({}), "a string, not a mapping"),
        ("request_timeout", json!("soon"), "\"250ms\""),
        ("request_timeout", json!(0), "above zero"),
        ("request_timeout", json!(-1), "from zero up"),
        ("request_timeout", json!("0s"), "above zero"),
        ("request_timeout", json!(true), "not true or false"),
        ("login_timeout", json!(1e300), "a number of seconds"),
        ("login_timeout", json!("8d"), "at most 7d"),
        ("login_timeout", json!("-5s"), "from zero up"),
        ("login_timeout", json!(false), "not true or false"),
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
        assert_eq!(settings.login.login_timeout, Duration::from_millis(milliseconds));
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

#[test]
fn right_values() {
    for (key, value) in [
        ("vault_namespace", json!("/team/matrix/")),
        ("vault_namespace", json!(null)),
        ("vault_kv_version", json!("auto")),
        ("vault_kv_version", json!(1)),
        ("vault_kv_version", json!("2")),
        ("vault_kv_version", json!(null)),
        ("vault_tls", json!(null)),
        ("vault_tls", json!({})),
        ("max_concurrent_lookups", json!(1)),
        ("cache", json!(null)),
        ("cache", json!({})),
    ] {
        let result = parse(with(key, value.clone()));
        assert!(result.is_ok(), "{key}: {value}: {result:?}");
    }
}

#[test]
fn the_cache_is_off_unless_configured() {
    assert!(parse(with("login_timeout", json!(1))).unwrap().login.cache.is_off());
    let cache = json!({"ttl": "1m", "stale_if_error": "1h", "max_entries": 5});
    let settings = parse(with("cache", cache)).unwrap();
    assert_eq!(settings.login.cache.ttl, Duration::from_secs(60));
    assert_eq!(settings.login.cache.max_entries, 5);
    for (cache, key, expected) in [
        (json!({"ttl": -1}), "cache.ttl", "from zero up"),
        (json!({"ttl": "soon"}), "cache.ttl", "\"250ms\""),
        (json!({"stale_if_error": true}), "cache.stale_if_error", "not true or false"),
        (json!({"max_entries": 0}), "cache.max_entries", "from 1 to"),
        (json!({"tll": 1}), "cache.tll", "did you mean ttl?"),
        (json!({"stale_on_error": 1}), "cache.stale_on_error", "did you mean stale_if_error?"),
    ] {
        let text = error(with("cache", cache));
        assert!(text.starts_with(&format!("{key}: ")), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_loosens_anything_is_off_unless_configured() {
    let settings = parse(with("login_timeout", json!(1))).unwrap();
    assert!(settings.login.rotation_grace.is_zero());
    assert!(!settings.m_login_password_support_enabled);
    assert!(!settings.login.allow_registration);
    assert!(!settings.health_endpoint);
    let settings = parse(with("rotation_grace", json!("10m"))).unwrap();
    assert_eq!(settings.login.rotation_grace, Duration::from_secs(600));
    for (key, value, expected) in [
        ("rotation_grace", json!("soon"), "\"250ms\""),
        ("rotation_grace", json!(true), "not true or false"),
        ("rotation_grace", json!(-1), "from zero up"),
        ("rotation_grace", json!("8d"), "at most 7d"),
        ("rotation_grace", json!(["10m"]), "not a list"),
        ("m_login_password_support_enabled", json!(1), "true or false, not a number"),
        ("allow_registration", json!("true"), "true or false, not a string"),
        ("allow_registration", json!([]), "true or false, not a list"),
        ("health_endpoint", json!({}), "true or false, not a mapping"),
        ("m_login_password_support_enabled", json!("yes"), "true or false, not a string"),
        ("allow_registration", json!(1), "true or false, not a number"),
        ("health_endpoint", json!("/health"), "true or false, not a string"),
    ] {
        let text = error(with(key, value));
        assert!(text.starts_with(&format!("{key}: ")), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}
