//! The ways to a token for Vault: given, read from a file, or got by an auth method.

use serde_json::json;

use super::*;

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
