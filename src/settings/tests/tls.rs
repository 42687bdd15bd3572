//! `vault_tls`, and the variables of Vault and OpenSSL that fill in for it.

use serde_json::json;

use super::*;

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
fn the_variables_of_openssl_name_authorities() {
    let scratch = Scratch::new("openssl");
    let authority = include_str!("../../../tests/vectors/tls/first.pem");
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
    let authority = include_str!("../../../tests/vectors/tls/first.pem");
    let half = authority.len() / 2;
    let cut_off = scratch.file("cut.pem", &(authority.to_owned() + &authority[..half]));
    let text = error(with("vault_tls", json!({ "ca_cert": cut_off })));
    assert!(text.contains("holds a certificate that is cut off"), "{text}");
}
