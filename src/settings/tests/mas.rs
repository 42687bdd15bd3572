//! `mas`: what the module needs under Matrix Authentication Service.

use std::time::Duration;

use serde_json::json;

use super::*;

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
    let authorities = scratch.file("a.pem", include_str!("../../../tests/vectors/tls/first.pem"));
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
