//! Which keys there are, and what somebody is told who misspells one.

use serde_json::{Value, json};

use super::*;

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
fn an_empty_key_can_be_told_from_none() {
    assert!(error(with("", json!(1))).starts_with("\"\": unknown key"));
    assert!(error(with("cache", json!({"": 1}))).starts_with("cache.\"\": unknown key"));
}
