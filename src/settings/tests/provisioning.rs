//! What counts when options, the environment and the configuration say different things.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::keys;
use super::super::provisioning::{login_times, parse, parse_kv_location, token_origin};
use super::super::sources::{Merged, Precedence, Sources, TokenOrigin};
use crate::provisioning::{Config, LoginTimes};

fn mapping(value: Value) -> Map<String, Value> {
    let Value::Object(mapping) = value else { panic!("no mapping") };
    mapping
}

fn sources(given: Value, variables: &[(&str, &str)]) -> Sources {
    Sources {
        given: mapping(given),
        environment: variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        ..Sources::default()
    }
}

fn parsed(given: Value, variables: &[(&str, &str)]) -> Result<Config, String> {
    parse(&sources(given, variables), Precedence::Operator).map_err(|error| error.to_string())
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
    let settings = parsed(
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
    let settings = parsed(given.clone(), &[("SYNAPSE_VAULT_AUTH", auth)]).unwrap();
    assert!(matches!(settings.vault.token_source, crate::vault::TokenSource::Login(_)));
    let message = parsed(given.clone(), &[("SYNAPSE_VAULT_AUTH", "userpass")]).unwrap_err();
    assert!(message.starts_with("SYNAPSE_VAULT_AUTH: is empty"), "{message}");
    let auth = r#"{"method": "userpas"}"#;
    let message = parsed(given, &[("SYNAPSE_VAULT_AUTH", auth)]).unwrap_err();
    assert!(message.contains("method"), "{message}");
}

const MAS_CLIENT: &str = "0000000000000000000SYNAPSE";

#[test]
fn a_client_of_mas_may_come_from_the_environment() {
    let variables = [
        ("SYNAPSE_VAULT_MAS_ADMIN_API", "http://localhost:8081/api/admin/v1"),
        ("SYNAPSE_VAULT_MAS_CLIENT_ID", MAS_CLIENT),
        ("SYNAPSE_VAULT_MAS_CLIENT_SECRET", "s3cret"),
        ("SYNAPSE_VAULT_MAS_TOKEN_ENDPOINT", "http://localhost:8080/oauth2/token"),
    ];
    let settings = parsed(enough(), &variables).unwrap();
    let mas = settings.mas.as_ref().unwrap();
    assert_eq!(mas.admin_api.to_string(), "http://localhost:8081");
    assert!(mas.token_endpoint.is_some());
    assert!(!format!("{settings:?}").contains("s3cret"));
    assert!(parsed(enough(), &[]).unwrap().mas.is_none());
    assert!(parsed(enough(), &[("SYNAPSE_VAULT_MAS_CLIENT_ID", "")]).unwrap().mas.is_none());
    for (count, error) in [(1, "mas_client_id: required"), (2, "mas_client_secret: required")] {
        let message = parsed(enough(), &variables[..count]).unwrap_err();
        assert!(message.starts_with(error), "{message}");
    }
    for (changed, value, error) in [
        (0, "localhost", "SYNAPSE_VAULT_MAS_ADMIN_API: must begin with"),
        (1, "synapse", "SYNAPSE_VAULT_MAS_CLIENT_ID: must be a ULID"),
        (3, "http://localhost", "SYNAPSE_VAULT_MAS_TOKEN_ENDPOINT: must be the whole address"),
    ] {
        let mut variables = variables;
        variables[changed].1 = value;
        let message = parsed(enough(), &variables).unwrap_err();
        assert!(message.starts_with(error), "{message}");
    }
}

#[test]
fn a_client_of_mas_may_come_from_the_modules_configuration() {
    let mut module = of_the_module();
    module["mas"] = json!({
        "admin_api": "http://localhost:8081",
        "client_id": MAS_CLIENT,
        "client_secret": "s3cret",
        "session_lifetime": "30d",
    });
    let admin_api = |variables: &[(&str, &str)], precedence| {
        let mas = parse(&configured(module.clone(), variables), precedence).unwrap().mas;
        mas.unwrap().admin_api.to_string()
    };
    let variables = [("SYNAPSE_VAULT_MAS_ADMIN_API", "http://elsewhere:8081")];
    for (variables, precedence, expected) in [
        (&variables[..0], Precedence::Operator, "http://localhost:8081"),
        (&variables[..0], Precedence::Module, "http://localhost:8081"),
        (&variables[..], Precedence::Operator, "http://elsewhere:8081"),
        (&variables[..], Precedence::Module, "http://localhost:8081"),
    ] {
        assert_eq!(admin_api(variables, precedence), expected);
    }
    module["mas"]["client_id"] = json!("synapse");
    let error = parse(&configured(module, &[]), Precedence::Operator).unwrap_err().to_string();
    assert!(error.starts_with("mas.client_id: must be a ULID"), "{error}");
}

#[test]
fn what_is_given_goes_first() {
    let variables = [
        ("SYNAPSE_VAULT_SERVER_NAME", "other.org"),
        ("SYNAPSE_VAULT_TOKEN_FILE", "/nonexistent/token"),
    ];
    assert_eq!(parsed(enough(), &variables).unwrap().server_name, "example.org");
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
        let message = parsed(given.clone(), &[]).unwrap_err();
        assert!(message.starts_with(error), "{message}");
        given[key] = former;
        if given[key].is_null() {
            given.as_object_mut().unwrap().remove(key);
        }
    }
    given.as_object_mut().unwrap().remove("server_name");
    let message = parsed(given.clone(), &[]).unwrap_err();
    assert!(message.contains("SYNAPSE_VAULT_SERVER_NAME"), "{message}");
    let message = parsed(given, &[("SYNAPSE_VAULT_SERVER_NAME", "a b")]).unwrap_err();
    assert!(message.starts_with("SYNAPSE_VAULT_SERVER_NAME: must"), "{message}");
}

/// A module's configuration, and what Synapse's says of the homeserver.
fn configured(module: Value, variables: &[(&str, &str)]) -> Sources {
    Sources {
        homeserver: mapping(json!({"homeserver": "http://of.file", "server_name": "of.file"})),
        module: Some(mapping(module)),
        ..sources(json!({}), variables)
    }
}

fn of_the_module() -> Value {
    json!({
        "vault_url": "https://file:8200",
        "vault_path_root": "of/file",
        "vault_kv_mount_point": "of-file",
        "vault_kv_version": 2,
        "vault_namespace": "of-file",
        "request_timeout": "5s",
        "vault_token": "of-file",
    })
}

fn merged(sources: &Sources, precedence: Precedence) -> Map<String, Value> {
    Merged::of(sources, precedence).map_err(|error| error.to_string()).unwrap().values
}

fn of_vault(sources: &Sources) -> Value {
    let mut merged = merged(sources, Precedence::Operator);
    merged.retain(|key, _| keys::VAULT.contains(&key.as_str()));
    merged.into()
}

#[test]
fn what_only_logins_know_is_left_out() {
    let mut module = of_the_module();
    for (key, value) in mapping(json!({"login_timeout": "10s", "max_concurrent_lookups": 8,
        "cache": {"ttl": "5s"}, "m_login_password_support_enabled": true,
        "allow_registration": true, "health_endpoint": true, "rotation_grace": "1h"}))
    {
        module[key] = value;
    }
    assert_eq!(of_vault(&configured(module, &[])), of_the_module());
}

#[test]
fn an_unknown_key_of_the_module_is_refused_by_name() {
    for key in ["vault_kv_mount", "homeserver", "server_name", "timeout", "admin_access_token"] {
        for precedence in [Precedence::Operator, Precedence::Module] {
            let mut module = of_the_module();
            module[key] = json!("s3cret");
            let error = parse(&configured(module, &[]), precedence).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}: unknown key")), "{error}");
            assert!(!error.contains("s3cret"));
        }
    }
    let mut module = of_the_module();
    module["vault_tls"] = json!({"cacert": "/ca"});
    let variables = [("VAULT_CACERT", "/other")];
    let error = parse(&configured(module, &variables), Precedence::Operator).unwrap_err();
    assert_eq!(error.key, "vault_tls.cacert");
}

#[test]
fn the_environment_replaces_a_key_of_the_configuration() {
    for (variable, key, ours) in [
        ("VAULT_ADDR", "vault_url", false),
        ("BAO_ADDR", "vault_url", false),
        ("VAULT_TOKEN", "vault_token", false),
        ("BAO_TOKEN", "vault_token", false),
        ("VAULT_NAMESPACE", "vault_namespace", false),
        ("BAO_NAMESPACE", "vault_namespace", false),
        ("SYNAPSE_VAULT_PATH_ROOT", "vault_path_root", true),
        ("SYNAPSE_VAULT_KV_MOUNT_POINT", "vault_kv_mount_point", true),
        ("SYNAPSE_VAULT_KV_VERSION", "vault_kv_version", true),
    ] {
        assert_eq!(of_vault(&configured(of_the_module(), &[(variable, "")])), of_the_module());
        let mut expected = of_the_module();
        if ours {
            expected[key] = json!("of-environment");
        } else {
            // It is read from the variable, as the module does.
            expected.as_object_mut().unwrap().remove(key);
        }
        let sources = configured(of_the_module(), &[(variable, "of-environment")]);
        assert_eq!(of_vault(&sources), expected, "{variable}");
    }
}

#[test]
fn one_source_decides_which_token_is_used() {
    for way in [
        json!({"vault_token": "of-file"}),
        json!({"vault_token_file": "/f"}),
        json!({"vault_auth": {"method": "approle"}}),
    ] {
        let vault_token = [("VAULT_TOKEN", "t")];
        let token_file = [("SYNAPSE_VAULT_TOKEN_FILE", "/variable")];
        assert_eq!(of_vault(&configured(way.clone(), &[])), way);
        assert_eq!(of_vault(&configured(way.clone(), &vault_token)), json!({}));
        let sources = configured(way.clone(), &token_file);
        assert_eq!(of_vault(&sources), json!({"vault_token_file": "/variable"}));
        let option = json!({"vault_token_file": "/option"});
        for variables in [&[][..], &vault_token, &token_file] {
            let mut sources = configured(way.clone(), variables);
            sources.given = mapping(option.clone());
            assert_eq!(of_vault(&sources), option);
        }
    }
}

#[test]
fn the_environment_replaces_certificates_matter_by_matter() {
    let tls = json!({"ca_cert": "/ca", "client_cert": "/c", "client_key": "/k",
                     "skip_verify": false});
    for (variable, left) in [
        ("VAULT_CACERT", &["client_cert", "client_key", "skip_verify"][..]),
        ("BAO_CAPATH", &["client_cert", "client_key", "skip_verify"]),
        ("VAULT_CLIENT_CERT", &["ca_cert", "skip_verify"]),
        ("BAO_CLIENT_KEY", &["ca_cert", "skip_verify"]),
        ("VAULT_SKIP_VERIFY", &["ca_cert", "client_cert", "client_key"]),
    ] {
        let sources = configured(json!({"vault_tls": tls}), &[(variable, "/of-environment")]);
        let merged = of_vault(&sources);
        let mut keys: Vec<_> = merged["vault_tls"].as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, left, "{variable}");
    }
    let sources = configured(json!({"vault_tls": "ca.pem"}), &[("VAULT_CACERT", "/ca")]);
    let error = parse(&sources, Precedence::Operator).unwrap_err().to_string();
    assert!(error.starts_with("vault_tls: must be a mapping"), "{error}");
}

#[test]
fn the_configuration_names_the_homeserver_unless_something_else_does() {
    let mut sources = configured(of_the_module(), &[]);
    let homeserver = |sources: &Sources| {
        let config = parse(sources, Precedence::Operator).unwrap();
        (config.homeserver.url.to_string(), config.server_name)
    };
    assert_eq!(homeserver(&sources), ("http://of.file".into(), "of.file".into()));
    sources.environment.insert("SYNAPSE_VAULT_SERVER_NAME".into(), "variable".into());
    assert_eq!(homeserver(&sources).1, "variable");
    sources.given = mapping(json!({"homeserver": "http://option", "server_name": "option"}));
    assert_eq!(homeserver(&sources), ("http://option".into(), "option".into()));
}

#[test]
fn one_source_decides_which_shared_secret_is_used() {
    let (inline, file) = ("registration_shared_secret", "registration_shared_secret_file");
    for of_file in [inline, file] {
        let mut sources = configured(of_the_module(), &[]);
        sources.homeserver.insert(of_file.into(), "of-file".into());
        let secrets = |sources: &Sources| {
            let mut merged = merged(sources, Precedence::Operator);
            merged.retain(|key, _| key.starts_with("registration"));
            Value::from(merged)
        };
        assert_eq!(secrets(&sources), json!({of_file: "of-file"}));
        let variable = "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET";
        sources.environment.insert(variable.into(), "variable".into());
        assert_eq!(secrets(&sources), json!({inline: "variable"}));
        sources.given.insert(file.into(), "/option".into());
        assert_eq!(secrets(&sources), json!({file: "/option"}));
    }
}

#[test]
fn the_precedence_of_the_module_is_that_of_a_login() {
    let variables = [
        ("VAULT_TOKEN", "of-environment"),
        ("VAULT_ADDR", "http://of-environment"),
        ("SYNAPSE_VAULT_PATH_ROOT", "of-environment"),
        ("SYNAPSE_VAULT_KV_VERSION", "1"),
        ("SYNAPSE_VAULT_SERVER_NAME", "of-environment"),
        ("SYNAPSE_VAULT_TOKEN_FILE", "/of-environment"),
    ];
    let mut sources = configured(of_the_module(), &variables);
    sources.given = mapping(json!({"homeserver": "http://option", "server_name": "option",
                                   "vault_token_file": "/option"}));
    let mut expected = of_the_module();
    expected["homeserver"] = json!("http://option");
    expected["server_name"] = json!("of.file");
    assert_eq!(Value::from(merged(&sources, Precedence::Module)), expected);
    // Those that the module knows fill in for what its configuration does not say.
    sources.module = Some(mapping(json!({"vault_path_root": "u"})));
    let config = parse(&sources, Precedence::Module).unwrap();
    assert_eq!(config.vault.connection.addresses[0].to_string(), "http://of-environment");
    // Without a module there is nothing else to go by than what an operator says.
    sources.module = None;
    let merged = merged(&sources, Precedence::Module);
    assert_eq!(merged["vault_path_root"], "of-environment");
}

#[test]
fn it_is_known_where_the_token_comes_from() {
    use TokenOrigin::{Given, Module, Variable};
    let mut sources = configured(of_the_module(), &[]);
    let origin = |sources: &Sources, precedence| token_origin(sources, precedence).unwrap();
    assert_eq!(origin(&sources, Precedence::Operator), Some(Module("vault_token")));
    sources.environment.insert("BAO_TOKEN".into(), "t".into());
    assert_eq!(origin(&sources, Precedence::Operator), Some(Variable("BAO_TOKEN")));
    assert_eq!(origin(&sources, Precedence::Module), Some(Module("vault_token")));
    sources.environment.insert("SYNAPSE_VAULT_TOKEN_FILE".into(), "/t".into());
    let variable = Some(Variable("SYNAPSE_VAULT_TOKEN_FILE"));
    assert_eq!(origin(&sources, Precedence::Operator), variable);
    sources.given = mapping(json!({"vault_token_file": "/option"}));
    assert_eq!(origin(&sources, Precedence::Operator), Some(Given("vault_token_file")));
    sources.module = Some(mapping(json!({"vault_path_root": "u"})));
    assert_eq!(origin(&sources, Precedence::Module), Some(Variable("BAO_TOKEN")));
    assert_eq!(origin(&Sources::default(), Precedence::Operator), None);
}

#[test]
fn where_the_entries_are_is_known_without_a_token() {
    let sources = configured(json!({"vault_path_root": "/matrix//users/"}), &[]);
    let location = parse_kv_location(&sources, Precedence::Operator).unwrap();
    assert_eq!(location.path_root.to_string(), "matrix/users");
    assert_eq!(location.mount.to_string(), "secret");
    assert!(location.version.is_none());
    let sources = configured(json!({"vault_path_root": "u", "vault_kv_version": 3}), &[]);
    let error = parse_kv_location(&sources, Precedence::Operator).unwrap_err();
    assert_eq!(error.key, "vault_kv_version");
}

#[test]
fn it_is_known_how_long_logins_take_what_vault_no_longer_holds() {
    let mut module = of_the_module();
    module["rotation_grace"] = json!("10m");
    module["cache"] = json!({"ttl": "1m", "stale_if_error": "1h"});
    let mut sources = configured(module, &[]);
    let times = |sources: &Sources| parse(sources, Precedence::Operator).unwrap().login_times;
    let expected = LoginTimes {
        rotation_grace: Duration::from_secs(600),
        cache_ttl: Duration::from_secs(60),
        stale_if_error: Duration::from_secs(3600),
    };
    assert_eq!(times(&sources), Some(expected));
    sources.module.as_mut().unwrap()["cache"] = json!({"ttl": "soon"});
    assert_eq!(login_times(&sources).unwrap_err().key, "cache.ttl");
    // Whoever needs nothing of it goes on.
    assert_eq!(times(&sources), None);
    assert_eq!(parsed(enough(), &[]).unwrap().login_times, None);
}
