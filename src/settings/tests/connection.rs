//! The addresses of Vault, and what the way there takes: proxies and headers.

use serde_json::json;

use super::*;

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
fn a_socket_needs_its_whole_path() {
    let settings = parse(with("vault_url", json!("unix:///run/bao.sock"))).unwrap();
    let [address] = &settings.login.vault.connection.addresses[..] else { panic!("one address") };
    assert_eq!(address.to_string(), "unix:///run/bao.sock");
    assert!(address.is_loopback() && !address.is_https());
    let text = error(with("vault_url", json!("unix://run/bao.sock")));
    assert!(text.starts_with("vault_url: must begin with http:// or https://"), "{text}");
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
