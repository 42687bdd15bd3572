//! The environment variables that fill in for absent keys.

use serde_json::json;

use super::*;

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
