//! Which paths there are, and what they take.

use serde_json::json;

use super::site::{Site, error};
use crate::plugin::testing::{data, status};

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_the_core_refuses_are_refused() {
    let site = Site::start().await;
    let long = "l".repeat(250);
    for localpart in [
        "a//b",
        "a/./b",
        "a/../b",
        "al\nice",
        "al\0ice",
        "al\u{7f}ice",
        "al\u{200b}ice",
        "al\u{202e}ice",
        "al:ice",
        "alice:example.org",
        &long,
    ] {
        for prefix in ["config/user", "user", "static", "rotate"] {
            let operation = match prefix {
                "config/user" | "rotate" => "create",
                _ => "read",
            };
            let path = format!("{prefix}/{localpart}/example.org");
            let reply = site.host.ask(operation, &path, "{}").await;
            assert_eq!(status(&reply), 400, "{path:?}");
        }
        let path = format!("login/@{localpart}:example.org");
        let found = status(&site.host.ask("read", &path, "{}").await);
        assert!(found == 400 || localpart.contains(':'), "{path:?}: {found}");
    }
    for server in ["ex ample.org", "..", "a\u{0}", "exämple.org", "a..b", "[::1", "x:y"] {
        for (operation, path) in [
            ("create", format!("config/homeserver/{server}")),
            ("create", format!("config/user/alice/{server}")),
            ("read", format!("user/alice/{server}")),
            ("read", format!("login/@alice:{server}")),
        ] {
            let reply = site.host.ask(operation, &path, r#"{"cs_url":"http://x"}"#).await;
            assert_eq!(status(&reply), 400, "{path:?}");
        }
    }
    assert_eq!(site.host.stored("config/user/").len(), 1);
    // Those that it takes are told apart in storage.
    for localpart in ["a/b", "a%2fb", "a..b", "ü", "a b", "A", "@alice"] {
        let path = format!("config/user/{localpart}/example.org");
        assert_eq!(status(&site.host.ask("create", &path, "{}").await), 200, "{path}");
    }
    let listed = data(&site.host.ask("list", "config/user/", "{}").await);
    assert_eq!(
        listed["keys"],
        json!([
            "@@alice:example.org",
            "@A:example.org",
            "@a b:example.org",
            "@a%2fb:example.org",
            "@a..b:example.org",
            "@a/b:example.org",
            "@alice:example.org",
            "@ü:example.org",
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_newer_version_are_an_error() {
    let site = Site::start().await;
    let mut entries: Vec<_> = site.host.state.entries.lock().clone().into_iter().collect();
    for (_, value) in &mut entries {
        *value = String::from_utf8(value.clone()).unwrap().replace(":1,", ":2,").into_bytes();
    }
    site.host.state.entries.lock().extend(entries);
    for path in ["config/homeserver/example.org", "config/user/alice/example.org"] {
        let reply = site.host.ask("read", path, "{}").await;
        assert_eq!(status(&reply), 500);
        assert!(error(&reply).contains("newer"), "{}", error(&reply));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_describes_itself() {
    let site = Site::start().await;
    let all = data(&site.host.ask("help", "", r#"{"requestResponsePrefix":"matrix"}"#).await);
    let paths = all["openapi"]["paths"].as_object().unwrap();
    assert_eq!(paths.len(), crate::paths::ALL.len());
    assert_eq!(paths["/login/{user_id}"]["x-vault-sudo"], true);
    for path in crate::paths::ALL {
        assert!(path.synopsis.ends_with('.') && path.description.ends_with('.'));
        assert!(path.fields.iter().all(|field| field.description.ends_with('.')));
        for capture in path.pattern.captures {
            assert!(path.fields.iter().any(|field| field.name == capture.name));
        }
        let shown = all["help"].as_str().unwrap();
        assert!(shown.contains(&path.pattern.regular_expression()));
    }
    let one = data(&site.host.ask("help", "config/user/a/b", "{}").await);
    assert!(one["help"].as_str().unwrap().contains("create_only"));
    assert_eq!(one["openapi"]["paths"].as_object().unwrap().len(), 1);
    assert_eq!(status(&site.host.ask("help", "no/such/path", "{}").await), 404);
}
