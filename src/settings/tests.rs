//! What administrators write, and what they are told about it.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

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
    assert_eq!(settings.login.vault.connection.addresses[0].to_string(), "http://vault:8200");
    let error = parse_with(config, &variables).unwrap_err();
    assert_eq!(error.key, "VAULT_TOKEN");
    let empty = parse_with(with("vault_token", json!("")), &[("VAULT_TOKEN", "")]);
    assert_eq!(empty.unwrap_err().key, "vault_token");
    for absent in [json!({}), json!({"vault_token": ""}), json!({"vault_token": null})] {
        for (address, token) in [("VAULT_ADDR", "VAULT_TOKEN"), ("BAO_ADDR", "BAO_TOKEN")] {
            let mut config = absent.clone();
            config["vault_path_root"] = json!("u");
            let settings = parse_with(config, &[(address, "http://v:8200"), (token, "t")]).unwrap();
            assert_eq!(settings.login.vault.connection.addresses[0].to_string(), "http://v:8200");
        }
    }
    // What is configured comes first.
    let settings = parse_with(with("login_timeout", json!(1)), &variables[1..]).unwrap();
    assert_eq!(settings.login.vault.connection.addresses[0].to_string(), "https://localhost:8200");
}

#[test]
fn a_wrong_variable_is_named_as_such() {
    for (variable, value, key) in [
        ("VAULT_NAMESPACE", "te\nam", "VAULT_NAMESPACE"),
        ("VAULT_CACERT", "/nowhere", "VAULT_CACERT"),
        ("BAO_CACERT", "/nowhere", "BAO_CACERT"),
        ("VAULT_CAPATH", "/nowhere", "VAULT_CAPATH"),
        ("BAO_CAPATH", "/nowhere", "BAO_CAPATH"),
        ("VAULT_CLIENT_CERT", "/nowhere", "vault_tls.client_key"),
        ("BAO_CLIENT_CERT", "/nowhere", "vault_tls.client_key"),
        ("VAULT_CLIENT_KEY", "/nowhere", "vault_tls.client_cert"),
        ("BAO_CLIENT_KEY", "/nowhere", "vault_tls.client_cert"),
    ] {
        let result = parse_with(with("login_timeout", json!(1)), &[(variable, value)]);
        assert_eq!(result.unwrap_err().key, key, "{variable}");
    }
    // What is configured is looked at alone.
    let config = with("vault_tls", json!({"ca_cert": "/no"}));
    let error = parse_with(config, &[("VAULT_CACERT", "/nowhere")]).unwrap_err();
    assert_eq!(error.key, "vault_tls.ca_cert");
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
        ("vault_adress", "vault_url"),
        ("vault_address", "vault_url"),
        ("valt_token", "vault_token"),
        ("vault-token", "vault_token"),
        ("VAULT_PATH_ROOT", "vault_path_root"),
        ("login_time_out", "login_timeout"),
    ];
    for (typo, meant) in mistakes {
        let text = error(with(typo, json!("x")));
        assert!(text.starts_with(&format!("{typo}: ")), "{text}");
        assert!(text.contains(&format!("did you mean {meant}?")), "{text}");
    }
    // In the wrong mapping.
    for (key, meant) in [
        ("ca_cert", "vault_tls.ca_cert"),
        ("skip_verify", "vault_tls.skip_verify"),
        ("client_cert", "vault_tls.client_cert"),
        ("vault_tls_ca_cert", "vault_tls.ca_cert"),
        ("role_id", "vault_auth.role_id"),
        ("secret_id_flie", "vault_auth.secret_id_file"),
        ("method", "vault_auth.method"),
        ("ttl", "cache.ttl"),
        ("cache_ttl", "cache.ttl"),
        ("stale_if_eror", "cache.stale_if_error"),
        ("mount", "vault_kv_mount_point"),
    ] {
        let text = error(with(key, json!("x")));
        assert!(text.contains(&format!("did you mean {meant}?")), "{text}");
    }
    let text = error(with("vault_tls", json!({"vault_namespace": "x"})));
    assert!(text.contains("did you mean vault_namespace, outside this mapping?"), "{text}");
    let text = error(with("vault_tls", json!({"role_id": "x"})));
    assert!(text.contains("did you mean vault_auth.role_id?"), "{text}");
    let text = error(with("colour", json!("x")));
    assert!(text.contains("known keys: "), "{text}");
    for key in ["vault_url", "vault_token", "vault_path_root", "vault_kv_mount_point"] {
        assert!(text.contains(key), "{text}");
    }
    // The misspelt key, and not the required one that it should have been.
    let text = error(json!({"vault_url": "http://v", "vault_token": "t", "vault_path_rot": ""}));
    assert!(text.starts_with("vault_path_rot: "), "{text}");
}

#[test]
fn every_declared_key_is_read() {
    // A list of lists is the value of no key.
    let nothing = json!([[]]);
    let is_refused = |config: Value, key: &str| {
        let text = error(config);
        assert!(text.starts_with(key), "{key}: {text}");
    };
    for key in [keys::VAULT, keys::LOGIN].concat() {
        is_refused(with(key, nothing.clone()), key);
    }
    for key in keys::CACHE {
        is_refused(with("cache", json!({*key: nothing})), &format!("cache.{key}"));
    }
    for key in keys::MAS {
        let mut mas = mas();
        if key.starts_with("client_secret") {
            mas.as_object_mut().unwrap().remove("client_secret");
        }
        mas[*key] = nothing.clone();
        is_refused(with("mas", mas), &format!("mas.{key}"));
    }
    for key in keys::TLS {
        is_refused(with("vault_tls", json!({*key: nothing})), &format!("vault_tls.{key}"));
    }
    for (method, of_method) in keys::AUTH_METHODS {
        let of_login = if *method == keys::PROXY { &[][..] } else { keys::AUTH_LOGIN };
        for key in [keys::AUTH, of_login, of_method].concat() {
            let mut auth = json!({"method": method});
            for key in of_method.iter().filter(|key| !key.contains('_') || key.ends_with("_id")) {
                auth[*key] = json!("x");
            }
            auth[key] = nothing.clone();
            let config = tokenless(json!({"vault_auth": auth}));
            is_refused(config, &format!("vault_auth.{key}"));
        }
    }
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
fn an_empty_key_can_be_told_from_none() {
    assert!(error(with("", json!(1))).starts_with("\"\": unknown key"));
    assert!(error(with("cache", json!({"": 1}))).starts_with("cache.\"\": unknown key"));
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
fn addresses_of_one_cluster() {
    let settings = parse(with("vault_url", json!(["https://a:8200", "https://b:8200"]))).unwrap();
    assert_eq!(settings.login.vault.connection.addresses.len(), 2);
    let text = error(with("vault_url", json!(["https://a:8200", "b"])));
    assert!(text.starts_with("vault_url[1]: must begin with"), "{text}");
    let text = error(with("vault_url", json!(["https://a:8200", ""])));
    assert!(text.starts_with("vault_url[1]: must begin with"), "{text}");
    let text = error(with("vault_url", json!(["https://a:8200", 5])));
    assert!(text.starts_with("vault_url[1]: must be a string"), "{text}");
}

#[test]
fn auth_methods() {
    let scratch = Scratch::new("auth");
    let secret = scratch.file("secret", "s3cret\n");
    for auth in [
        json!({"method": "approle", "role_id": "r", "secret_id": "s"}),
        json!({"method": "approle", "role_id_file": secret, "secret_id_file": secret,
               "secret_id_wrapped": true, "mount": "auth/roles/"}),
        json!({"method": "approle", "role_id": "r", "namespace": "/team/"}),
        json!({"method": "proxy"}),
        json!({"method": "kubernetes", "role": "r", "jwt_file": secret}),
        json!({"method": "jwt", "jwt": "j"}),
        json!({"method": "jwt", "jwt_file": secret, "role": "r"}),
        json!({"method": "userpass", "username": "u", "password": "s3cret"}),
        json!({"method": "userpass", "username": "u", "password_file": secret}),
    ] {
        let settings = parse(tokenless(json!({"vault_auth": auth}))).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}

#[test]
fn half_given_auth_settings_name_their_key() {
    let scratch = Scratch::new("half");
    let empty = scratch.file("empty", "\n");
    let binary = scratch.file("binary", [0xff, 0xfe]);
    for (auth, key, expected) in [
        (json!({}), "vault_auth.method", "required: one of approle"),
        (json!({"method": "ldap"}), "vault_auth.method", "must be approle"),
        (json!("approle"), "vault_auth", "a mapping of keys, not a string"),
        (json!({"method": 5}), "vault_auth.method", "a string, not a number"),
        (
            json!({"method": "approle", "role_id": "r", "secret_id": ["s"]}),
            "vault_auth.secret_id",
            "a string, not a list",
        ),
        (
            json!({"method": "approle", "role_id": "r", "secret_id": "s", "secret_id_file": "f"}),
            "vault_auth.secret_id_file",
            "only one of this and secret_id",
        ),
        (
            json!({"method": "approle", "role_id": "r", "secret_id": "s", "secret_id_wrapped": "yes"}),
            "vault_auth.secret_id_wrapped",
            "true or false",
        ),
        (
            json!({"method": "approle", "role_id": "r", "secret_id": "s", "roleid": "r"}),
            "vault_auth.roleid",
            "did you mean role_id?",
        ),
        (
            json!({"method": "approle", "role_id": "r", "secret_id": "s", "password": "p"}),
            "vault_auth.password",
            "unknown key",
        ),
        (
            json!({"method": "approle", "role_id": "r", "secret_id_file": empty}),
            "vault_auth.secret_id_file",
            "is empty",
        ),
        (json!({"method": "jwt", "role": "r"}), "vault_auth.jwt", "this or jwt_file"),
        (
            json!({"method": "kubernetes", "role": "r"}),
            "vault_auth.jwt_file",
            "/var/run/secrets/kubernetes.io",
        ),
        (
            json!({"method": "userpass", "username": "u"}),
            "vault_auth.password",
            "this or password_file",
        ),
        (json!({"methd": "approle"}), "vault_auth.methd", "did you mean method?"),
        (
            json!({"method": "cert", "jwt": "j"}),
            "vault_auth.jwt",
            "known keys: method, mount, namespace, role",
        ),
        (
            json!({"method": "approle", "role_id": "r", "secret_id_wrapped": true}),
            "vault_auth.secret_id",
            "secret_id_file",
        ),
        (
            json!({"method": "approle", "role_id": "r", "namespace": "te\nam"}),
            "vault_auth.namespace",
            "printable ASCII",
        ),
        (json!({"method": "proxy", "mount": "m"}), "vault_auth.mount", "unknown key"),
        (json!({"method": "proxy", "role_id": "r"}), "vault_auth.role_id", "unknown key"),
        (json!({"method": "approle", "secret_id": "s"}), "vault_auth.role_id", "required"),
        (
            json!({"method": "approle", "role": "r", "secret_id": "s"}),
            "vault_auth.role",
            "did you mean role_id?",
        ),
        (
            json!({"method": "jwt", "jwt": "j", "jwt_file": empty}),
            "vault_auth.jwt_file",
            "only one of this and jwt",
        ),
        (json!({"method": "jwt", "jwt_file": "/nowhere"}), "vault_auth.jwt_file", "cannot read"),
        (json!({"method": "jwt", "jwt_file": empty}), "vault_auth.jwt_file", "is empty"),
        (json!({"method": "jwt", "jwt_file": binary}), "vault_auth.jwt_file", "is not text"),
        (json!({"method": "kubernetes", "jwt_file": "/nowhere"}), "vault_auth.role", "required"),
        (json!({"method": "kubernetes", "role": "r"}), "vault_auth.jwt_file", "cannot read"),
        (json!({"method": "cert"}), "vault_auth.method", "client_cert and client_key"),
        (json!(null), "vault_auth", "is empty"),
        (json!({"method": "userpass", "password": "p"}), "vault_auth.username", "required"),
        (
            json!({"method": "userpass", "username": "a/b", "password": "p"}),
            "vault_auth.username",
            "no slash",
        ),
        (json!({"method": "jwt", "jwt": "j", "mount": "a/../b"}), "vault_auth.mount", "\"..\""),
    ] {
        let text = error(tokenless(json!({"vault_auth": auth})));
        assert!(text.starts_with(&format!("{key}: ")), "{auth}: {text}");
        assert!(text.contains(expected), "{auth}: {text}");
    }
}

#[test]
fn extra_headers() {
    let scratch = Scratch::new("headers");
    let secret = scratch.file("secret", "s3cret\n");
    let headers = json!({"CF-Access-Client-Id": "s3cret", "Authorization": {"file": secret}});
    let settings = parse(with("vault_headers", headers)).unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"));
    assert_eq!(settings.login.vault.connection.headers.len(), 2);

    for (headers, key, expected) in [
        (json!("x"), "vault_headers", "must be a mapping"),
        (json!({"X-Vault-Token": "t"}), "vault_headers.X-Vault-Token", "none of the headers"),
        (
            json!({"x-vault-namespace": "t"}),
            "vault_headers.x-vault-namespace",
            "none of the headers",
        ),
        (json!({"Host": "t"}), "vault_headers.Host", "none of the headers"),
        (json!({"Content-Type": "t"}), "vault_headers.Content-Type", "none of the headers"),
        (json!({"Transfer-Encoding": "t"}), "vault_headers.Transfer-Encoding", "none of"),
        (json!({"a b": "t"}), "vault_headers.a b", "is no name of a header"),
        (json!({"A": ""}), "vault_headers.A", "is empty"),
        (json!({"A": "s3cret\n\u{1}x"}), "vault_headers.A", "no header can carry"),
        (json!({"A": 5}), "vault_headers.A", "must be a string, or a mapping"),
        (json!({"A": {"file": 5}}), "vault_headers.A", "must be a string, or a mapping"),
        (json!({"A": {"path": "/x"}}), "vault_headers.A", "must be a string, or a mapping"),
        (json!({"A": {"file": "/nowhere"}}), "vault_headers.A", "cannot read /nowhere"),
    ] {
        let text = error(with("vault_headers", headers.clone()));
        assert!(text.starts_with(&format!("{key}: ")), "{headers}: {text}");
        assert!(text.contains(expected), "{headers}: {text}");
        assert!(!text.contains("s3cret"), "{headers}: {text}");
    }

    let bearer = json!({"Authorization": "Bearer s3cret"});
    parse(with("vault_headers", bearer.clone())).unwrap();
    let proxy = json!({"vault_auth": {"method": "proxy"}, "vault_headers": bearer});
    let text = error(tokenless(proxy));
    assert!(text.starts_with("vault_headers.Authorization: must not begin with Bearer"), "{text}");
}

#[test]
fn the_module_refuses_a_pipe() {
    let scratch = Scratch::new("pipe");
    let path = scratch.file("other", "");
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    for config in [
        tokenless(json!({"vault_token_file": path})),
        tokenless(json!({"vault_auth": {"method": "jwt", "jwt_file": path}})),
        with("vault_headers", json!({"A": {"file": path}})),
    ] {
        let text = error(config);
        assert!(text.contains("is a pipe or a device"), "{text}");
    }
}

#[test]
fn token_files() {
    let scratch = Scratch::new("token");
    let plain = scratch.file("plain", "hvs.s3cret\n");
    let settings = parse(tokenless(json!({"vault_token_file": plain}))).unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"));
    let too_long = vec![b's'; 120_000];
    for (name, content, expected) in [
        ("junk", &b"s3\x01cret"[..], "character"),
        ("binary", &b"\xff\xfe"[..], "not text"),
        ("lines", &b"s3cret\ns3cret"[..], "character"),
        ("empty", &b"\n"[..], "is empty"),
        ("json", &b"{\"s3cret\": 1}"[..], "without a token"),
        ("blank", &b" \n"[..], "is empty"),
        ("long", &too_long[..], "is longer than"),
        ("list", &b"{\"token\": [\"s3cret\"]}"[..], "not a string"),
        ("half", &b"{\"token\": \"s3cret"[..], "is not JSON"),
        (
            "encrypted",
            &b"{\"curve25519_public_key\": \"\", \"encrypted_payload\": \"s3cret\"}"[..],
            "without dh_type",
        ),
    ] {
        let path = scratch.file(name, content);
        let text = error(tokenless(json!({"vault_token_file": path})));
        assert!(text.starts_with("vault_token_file: "), "{name}: {text}");
        assert!(text.contains(expected), "{name}: {text}");
        assert!(!text.contains("s3cret"), "{name}: {text}");
    }
    // Two ways to a token are a contradiction.
    let auth = json!({"method": "approle", "role_id": "r", "secret_id": "s"});
    for (given, blamed) in [
        (json!({"vault_token": "t", "vault_token_file": plain}), "vault_token_file"),
        (json!({"vault_token": "t", "vault_auth": auth}), "vault_auth"),
        (json!({"vault_token_file": plain, "vault_auth": auth}), "vault_auth"),
        (
            json!({"vault_token": "t", "vault_token_file": plain, "vault_auth": auth}),
            "vault_token_file",
        ),
    ] {
        let text = error(tokenless(given));
        assert!(text.starts_with(&format!("{blamed}: ")), "{text}");
        assert!(text.contains("only one way to a token"), "{text}");
    }
    // The environment's token is for those who configured no way to one.
    for given in [json!({"vault_auth": auth}), json!({"vault_token_file": plain})] {
        assert!(parse_with(tokenless(given), &[("VAULT_TOKEN", "not a token")]).is_ok());
    }
    // A secret in place of its file's path is not shown.
    for secret in ["hvs.s3cret", "s3cret/s3cret=="] {
        let text = error(tokenless(json!({"vault_token_file": secret})));
        assert!(!text.contains("s3cret") && text.contains("whole path"), "{text}");
    }
    let config = tokenless(json!({"vault_token_file": ""}));
    assert_eq!(parse_with(config, &[("VAULT_TOKEN", "t")]).unwrap_err().key, "vault_token_file");
    // What cannot be seen in a path is shown.
    let text = error(tokenless(json!({"vault_token_file": "\u{feff}/no\nwhere"})));
    assert!(text.contains("\\u{feff}/no\\u{a}where"), "{text}");
    // Nothing falls back to the environment.
    let config = tokenless(json!({"vault_token_file": "/nowhere"}));
    let error = parse_with(config, &[("VAULT_TOKEN", "t")]).unwrap_err();
    assert_eq!(error.key, "vault_token_file");
}

#[test]
fn tls() {
    let scratch = Scratch::new("tls");
    let no_pem = scratch.file("no.pem", "none");
    let empty = scratch.0.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let pasted = "-----BEGIN PRIVATE KEY-----\ns3cret/s3cret";
    for (tls, key, expected) in [
        (
            json!({"client_cert": no_pem, "client_key": pasted}),
            "vault_tls.client_key",
            "give its whole path",
        ),
        (json!({"ca_cert": 5}), "vault_tls.ca_cert", "a string, not a number"),
        (json!({"skip_verify": ""}), "vault_tls.skip_verify", "true or false"),
        (json!({"ca_cert": "/nowhere"}), "vault_tls.ca_cert", "cannot read"),
        (json!({"ca_cert": no_pem}), "vault_tls.ca_cert", "no certificate"),
        (json!({"ca_path": "/nowhere"}), "vault_tls.ca_path", "cannot read"),
        (json!({"ca_path": empty}), "vault_tls.ca_path", "no file with a certificate"),
        (json!({"client_cert": no_pem}), "vault_tls.client_key", "needs its key"),
        (json!({"client_key": no_pem}), "vault_tls.client_cert", "needs its certificate"),
        (
            json!({"client_cert": no_pem, "client_key": no_pem}),
            "vault_tls.client_cert",
            "not a certificate",
        ),
        (json!({"skip_verify": "yes"}), "vault_tls.skip_verify", "true or false"),
        (json!({"cacert": "x"}), "vault_tls.cacert", "did you mean ca_cert?"),
    ] {
        let text = error(with("vault_tls", tls.clone()));
        assert!(text.starts_with(&format!("{key}: ")), "{tls}: {text}");
        assert!(text.contains(expected), "{tls}: {text}");
        assert!(!text.contains("s3cret"), "{tls}: {text}");
    }
}

#[test]
fn only_a_clear_yes_skips_verification() {
    let skips = |value| {
        let settings = parse_with(with("login_timeout", json!(1)), &[("VAULT_SKIP_VERIFY", value)]);
        settings.map(|settings| settings.login.vault.connection.tls.skip_verify)
    };
    for value in ["", "0", "false", "F"] {
        assert!(!skips(value).unwrap());
    }
    for value in ["1", "true", "T"] {
        assert!(skips(value).unwrap());
    }
    for value in ["yes", "2", "on", " "] {
        let error = skips(value).unwrap_err();
        assert_eq!(error.key, "VAULT_SKIP_VERIFY");
        assert!(error.to_string().contains("true or false"), "{error}");
    }
    let config = with("vault_tls", json!({"skip_verify": false}));
    let settings = parse_with(config, &[("VAULT_SKIP_VERIFY", "true")]).unwrap();
    assert!(!settings.login.vault.connection.tls.skip_verify);
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
fn matrix_authentication_service() {
    assert!(parse(with("login_timeout", json!(1))).unwrap().login.mas.is_none());
    let config = parse(with("mas", mas())).unwrap().login.mas.unwrap();
    assert_eq!(config.server.admin_api.to_string(), "http://localhost:8081");
    assert_eq!(config.server.request_timeout, Duration::from_secs(5));
    assert!(config.session_lifetime.is_none() && !config.admin_scope && !config.pass_other_logins);
    for (key, value, said) in [
        ("admin_api", json!(null), "required"),
        ("admin_api", json!("localhost:8081"), "must begin with http:// or https://, as in"),
        ("admin_api", json!("http://u:s3cret@h"), "no user name or password"),
        ("client_id", json!(""), "required"),
        ("client_id", json!("synapse"), "must be a ULID"),
        ("client_secret", json!(""), "required: the client's secret, or client_secret_file"),
        ("client_secret_file", json!("/nowhere"), "only one of this and client_secret"),
        ("token_endpoint", json!("https://auth.example.org/"), "must be the whole address"),
        ("token_endpoint", json!("auth.example.org"), "must begin with"),
        ("ca_cert", json!("/nowhere"), "cannot read /nowhere"),
        ("session_lifetime", json!(0), "must be at least 1s"),
        ("session_lifetime", json!("999ms"), "must be at least 1s"),
        ("session_lifetime", json!("200y"), "must be at most 4294967295 seconds"),
        ("session_lifetime", json!("soon"), "\"10m\""),
        ("admin_scope", json!("yes"), "true or false"),
        ("pass_other_logins", json!(1), "true or false"),
        ("admin_apl", json!("x"), "did you mean admin_api?"),
        ("endpoint", json!("x"), "unknown key"),
    ] {
        let mut mas = mas();
        mas[key] = value;
        let text = error(with("mas", mas));
        assert!(text.starts_with(&format!("mas.{key}: ")) && text.contains(said), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert!(error(with("mas", json!({}))).starts_with("mas.admin_api: required"));
    assert!(error(with("mas", json!(null))).starts_with("mas: is empty"));
    assert!(error(with("admin_api", json!("x"))).contains("did you mean mas.admin_api?"));
    for (key, value, shown) in [
        ("admin_api", "http://h:8081/api/admin/v1/", "http://h:8081"),
        ("admin_api", "unix:///run/mas.sock", "unix:///run/mas.sock"),
        ("session_lifetime", "30d", "2592000s"),
        ("token_endpoint", "http://h/oauth2/token", "http://h/oauth2/token"),
    ] {
        let mut mas = mas();
        mas[key] = json!(value);
        let settings = parse(with("mas", mas)).unwrap();
        let debug = format!("{settings:?}");
        assert!(debug.contains(shown) && !debug.contains("s3cret"), "{debug}");
    }
}

#[test]
fn authorities_of_the_environment_are_for_addresses_that_mas_names() {
    let scratch = Scratch::new("mas-authorities");
    let authorities = scratch.file("a.pem", include_str!("../../tests/vectors/tls/first.pem"));
    let mut config = with("mas", mas());
    config["vault_url"] = json!("http://localhost:8200");
    let settings = parse_with(config, &[("SSL_CERT_FILE", &authorities)]).unwrap();
    let mas = settings.login.mas.unwrap();
    assert!(mas.server.tls.has_files() && !settings.login.vault.connection.tls.has_files());
}

#[test]
fn a_process_may_lack_the_secret_of_the_client() {
    let mut mas = mas();
    mas.as_object_mut().unwrap().remove("client_secret");
    mas["client_secret_file"] = json!("/nowhere");
    let error = parse(with("mas", mas.clone())).unwrap_err();
    assert!(error.is_of_process && error.key == "mas.client_secret_file", "{error}");
    // What is wrong in every process comes first.
    mas["client_id"] = json!("x");
    let error = parse(with("mas", mas)).unwrap_err();
    assert!(!error.is_of_process && error.key == "mas.client_id", "{error}");
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

#[test]
fn a_socket_needs_its_whole_path() {
    let settings = parse(with("vault_url", json!("unix:///run/bao.sock"))).unwrap();
    let [address] = &settings.login.vault.connection.addresses[..] else { panic!("one address") };
    assert_eq!(address.to_string(), "unix:///run/bao.sock");
    assert!(address.is_loopback() && !address.is_https());
    let text = error(with("vault_url", json!("unix://run/bao.sock")));
    assert!(text.starts_with("vault_url: must begin with http:// or https://"), "{text}");
}

#[test]
fn the_name_in_the_certificate_is_a_name() {
    let named = |name: &str| with("vault_tls", json!({"server_name": name, "skip_verify": true}));
    let settings = parse(named(" vault.example.org ")).unwrap();
    let name = settings.login.vault.connection.tls.server_name;
    assert_eq!(name.as_deref(), Some("vault.example.org"));
    for wrong in ["127.0.0.1", "[::1]", "vault:8200", "https://vault", "a b", "-"] {
        let text = error(named(wrong));
        assert!(text.starts_with("vault_tls.server_name: must be a name"), "{wrong}: {text}");
    }
    for variable in ["VAULT_TLS_SERVER_NAME", "BAO_TLS_SERVER_NAME"] {
        let unnamed = with("vault_tls", json!({"skip_verify": true}));
        let error = parse_with(unnamed, &[(variable, "127.0.0.1")]).unwrap_err();
        assert_eq!(error.key, variable);
    }
}

#[test]
fn a_name_in_the_certificate_does_not_go_with_a_proxy() {
    let mut config = with("vault_tls", json!({"server_name": "vault", "skip_verify": true}));
    config["vault_url"] = json!(["https://127.0.0.1:8200", "https://10.0.0.1:8200"]);
    for (variables, culprit) in [
        (&[("HTTPS_PROXY", "http://proxy")][..], Some("HTTPS_PROXY")),
        (&[("VAULT_PROXY_ADDR", "http://proxy"), ("NO_PROXY", "*")], Some("VAULT_PROXY_ADDR")),
        (&[("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", "10.0.0.1:8200")], None),
        (&[("HTTP_PROXY", "http://proxy")], None),
    ] {
        let result = parse_with(config.clone(), variables);
        let told = result.err().map(|error| error.to_string());
        match culprit {
            None => assert_eq!(told, None),
            Some(culprit) => {
                let told = told.unwrap();
                assert!(told.starts_with("vault_tls.server_name: cannot be used for"), "{told}");
                assert!(told.contains("https://10.0.0.1:8200, which") && told.contains(culprit));
            }
        }
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_where_it_would_be() {
    let variables = [("HTTPS_PROXY", "socks5://user:hunter2@proxy")];
    // This machine needs no proxy.
    parse_with(with("vault_kv_version", json!(2)), &variables).unwrap();
    let far = with("vault_url", json!("https://vault.example.org"));
    let error = parse_with(far, &variables).unwrap_err().to_string();
    assert_eq!(error, "HTTPS_PROXY: must be a proxy of http:// or https://");
}

#[test]
fn the_variables_of_openssl_name_authorities() {
    let scratch = Scratch::new("openssl");
    let authority = include_str!("../../tests/vectors/tls/first.pem");
    let (good, empty) = (scratch.file("good.pem", authority), scratch.file("empty.pem", ""));
    let parse = |variable: &str, value: &str| {
        parse_with(with("vault_kv_version", json!(2)), &[(variable, value)])
    };
    let settings = parse("SSL_CERT_FILE", &good).unwrap();
    assert!(settings.login.vault.connection.tls.has_files());
    parse("SSL_CERT_DIR", &format!("/nowhere:{}", scratch.0.display())).unwrap();
    for (variable, value) in
        [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_FILE", &empty), ("SSL_CERT_DIR", "/nowhere")]
    {
        assert_eq!(parse(variable, value).unwrap_err().key, variable);
    }
    // Where nothing is verified, nobody need be trusted.
    let plain = with("vault_url", json!("http://localhost:8200"));
    let unverified = with("vault_tls", json!({"skip_verify": true}));
    for config in [plain, unverified] {
        parse_with(config, &[("SSL_CERT_FILE", "/nowhere")]).unwrap();
    }
}

#[test]
fn a_bundle_that_is_cut_off_is_refused() {
    let scratch = Scratch::new("bundle");
    let authority = include_str!("../../tests/vectors/tls/first.pem");
    let half = authority.len() / 2;
    let cut_off = scratch.file("cut.pem", &(authority.to_owned() + &authority[..half]));
    let text = error(with("vault_tls", json!({ "ca_cert": cut_off })));
    assert!(text.contains("holds a certificate that is cut off"), "{text}");
}
