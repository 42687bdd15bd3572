//! Configurations that nobody should write.

#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target tells by a panic what it has found"
)]

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Environment, Precedence, Settings, SettingsError, Sources, parse_provisioning};
use crate::text::is_printable;
use crate::user_id::UserId;

/// In every secret of the corpus.
const SECRET: &str = "s3cret";

/// A variable that holds JSON.
const VAULT_AUTH: &str = "SYNAPSE_VAULT_AUTH";

/// Keys that hold a secret, and variables that do.
const SECRETS: [&str; 15] = [
    "vault_token",
    "role_id",
    "secret_id",
    "jwt",
    "password",
    "client_secret",
    "mas_client_secret",
    "registration_shared_secret",
    "admin_access_token",
    "VAULT_TOKEN",
    "BAO_TOKEN",
    VAULT_AUTH,
    "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET",
    "SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN",
    "SYNAPSE_VAULT_MAS_CLIENT_SECRET",
];

/// What is written in the configuration, and what is set in the environment.
#[derive(Deserialize)]
struct Input {
    config: Map<String, Value>,
    #[serde(default)]
    environment: Environment,
}

/// Checks that a configuration is sound, or is refused in words that hold no secret.
pub fn check(input: &[u8]) {
    let Ok(Input { config, environment }) = serde_json::from_slice(input) else { return };
    let written = json!({"config": config.clone(), "environment": environment});
    let may_show = Shown::of(&written);

    let module = Settings::parse(config.clone(), &environment);
    check_words(&module, may_show);
    if let Ok(settings) = module {
        assert!(!settings.login.login_timeout.is_zero());
        assert!(!settings.login.vault.connection.request_timeout.is_zero());
        assert!(settings.login.max_concurrent_lookups > 0);
        assert!(settings.login.cache.max_entries > 0);
        check_paths(&settings);
    }
    let sources = Sources { given: config.clone(), environment, ..Sources::default() };
    let provisioning = parse_provisioning(&sources, Precedence::Operator);
    check_words(&provisioning, may_show);
    assert!(!provisioning.is_ok_and(|settings| settings.timeout.is_zero()));
    let sources = Sources { module: Some(config), ..sources };
    for precedence in [Precedence::Operator, Precedence::Module] {
        check_words(&parse_provisioning(&sources, precedence), may_show);
    }
}

fn check_words<T: std::fmt::Debug>(parsed: &Result<T, SettingsError>, may: Shown) {
    match parsed {
        Ok(settings) => assert!(may.in_debug || !format!("{settings:?}").contains(SECRET)),
        Err(error) => {
            let text = error.to_string();
            assert!(!error.key.is_empty() && !error.message.is_empty());
            assert!(text.chars().all(is_printable), "{text:?}");
            assert!(may.in_errors || !text.contains(SECRET), "{text:?}");
        }
    }
}

fn check_paths(settings: &Settings) {
    let vault = &settings.login.vault;
    let user_id = UserId::parse("@a/%2e:example.org", "example.org").unwrap();
    let path = format!("{}/data/{}", vault.mount, vault.path_root.entry_of(&user_id));
    assert!(!path.split('/').any(|segment| matches!(segment, "" | "." | "..")), "{path}");
    assert!(!vault.connection.addresses.is_empty());
    for address in &vault.connection.addresses {
        assert!(address.api_url(&path, None).is_some(), "{address}: {path}");
    }
}

/// Where the marked secret may show, as it was written where no secret belongs.
#[derive(Clone, Copy, Default)]
struct Shown {
    in_debug: bool,
    in_errors: bool,
}

impl Shown {
    fn of(written: &Value) -> Self {
        match written {
            Value::Object(fields) => fields.iter().fold(Self::default(), |shown, (key, value)| {
                let is_key = key.contains(SECRET);
                let inner = match value.as_str().map(serde_json::from_str::<Value>) {
                    // Its keys are shown as those that are written themselves.
                    Some(Ok(json)) if key == VAULT_AUTH => Self::of(&json),
                    _ => Self::of(value),
                };
                Self {
                    in_debug: shown.in_debug
                        || is_key
                        || inner.in_debug && !SECRETS.contains(&key.as_str()),
                    // In the JSON of that variable there are paths as well.
                    in_errors: shown.in_errors
                        || is_key
                        || inner.in_errors
                            && (key == VAULT_AUTH || !SECRETS.contains(&key.as_str())),
                }
            }),
            Value::Array(items) => items.iter().map(Self::of).fold(Self::default(), |a, b| Self {
                in_debug: a.in_debug || b.in_debug,
                in_errors: a.in_errors || b.in_errors,
            }),
            Value::String(text) => {
                let in_debug = text.contains(SECRET);
                Self { in_debug, in_errors: in_debug && is_path(text) }
            }
            _ => Self::default(),
        }
    }
}

/// Whether nothing that can be seen stands before the first slash.
fn is_path(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(before, _)| before.chars().all(|c| c.is_whitespace() || !is_printable(c)))
}

#[cfg(test)]
mod tests {
    use proptest::collection::hash_map;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::fuzz::fuzz;

    const WORDS: &[&str] = &[
        "vault_url",
        "vault_token",
        "vault_token_file",
        "vault_path_root",
        "vault_kv_mount_point",
        "vault_kv_version",
        "vault_namespace",
        "vault_headers",
        "vault_auth",
        "vault_tls",
        "request_timeout",
        "login_timeout",
        "max_concurrent_lookups",
        "cache",
        "ttl",
        "stale_if_error",
        "max_entries",
        "rotation_grace",
        "m_login_password_support_enabled",
        "allow_registration",
        "health_endpoint",
        "mas",
        "admin_api",
        "client_id",
        "client_secret",
        "client_secret_file",
        "token_endpoint",
        "session_lifetime",
        "admin_scope",
        "pass_other_logins",
        "method",
        "mount",
        "role",
        "role_id",
        "secret_id",
        "secret_id_wrapped",
        "jwt",
        "jwt_file",
        "username",
        "password",
        "ca_cert",
        "ca_path",
        "client_cert",
        "client_key",
        "skip_verify",
        "homeserver",
        "server_name",
        "timeout",
        "admin_access_token",
        "registration_shared_secret",
        "mas_admin_api",
        "mas_client_id",
        "mas_client_secret",
        "mas_token_endpoint",
        "SYNAPSE_VAULT_MAS_CLIENT_ID",
        "VAULT_ADDR",
        "VAULT_TOKEN",
        "VAULT_NAMESPACE",
        "VAULT_SKIP_VERIFY",
        "SYNAPSE_VAULT_AUTH",
        "approle",
        "kubernetes",
        "userpass",
        "cert",
        "auto",
        "s3cret",
        "hvs.s3cret",
        "s3cret\n",
        "http://127.0.0.1:8200",
        "http://u:s3cret@v",
        "http://v/?s3cret",
        "http://[::1",
        "0000000000000000000SYNAPSE",
        "matrix/users",
        "a/../b",
        "250ms",
        "1h",
        "99999999999d",
        "1e400",
        "-1s",
        "/nowhere",
        "{\"method\":",
    ];

    #[test]
    fn configurations_are_sound_or_refused_in_words_that_hold_no_secret() {
        fuzz("settings", WORDS, configurations(), check);
    }

    /// Any known key with any known word, and the least that a configuration needs.
    fn configurations() -> impl Strategy<Value = Vec<u8>> {
        let value = prop_oneof![
            4 => select(WORDS).prop_map(Value::from),
            1 => any::<f64>().prop_map(Value::from),
            1 => any::<u32>().prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => ".{0,8}".prop_map(Value::from),
        ];
        let fields = hash_map(select(WORDS), value, 0..3);
        let variables = hash_map(select(WORDS), select(WORDS), 0..3);
        (fields, variables).prop_map(|(fields, environment)| {
            let mut config = json!({
                "vault_url": "http://127.0.0.1:8200",
                "vault_token": "hvs.s3cret",
                "vault_path_root": "matrix/users",
            });
            for (key, value) in fields {
                config[key] = value;
            }
            json!({"config": config, "environment": environment}).to_string().into_bytes()
        })
    }
}
