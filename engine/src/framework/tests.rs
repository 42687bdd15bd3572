use serde_json::json;

use super::value::{parse_boolean, parse_duration};
use super::{Capture, Pattern};

const USER: Pattern = Pattern {
    prefix: "user/",
    captures: &[
        Capture { name: "localpart", may_hold_slashes: true },
        Capture { name: "server", may_hold_slashes: false },
    ],
};

const SERVER: Pattern = Pattern {
    prefix: "config/homeserver/",
    captures: &[Capture { name: "server", may_hold_slashes: false }],
};

const LOGIN: Pattern =
    Pattern { prefix: "login/", captures: &[Capture { name: "user_id", may_hold_slashes: true }] };

const LIST: Pattern = Pattern { prefix: "config/user/", captures: &[] };

#[test]
fn a_localpart_may_hold_slashes_and_a_server_may_not() {
    for (path, expected) in [
        ("user/alice/example.org", Some(vec!["alice", "example.org"])),
        ("user/a/b/example.org:8448", Some(vec!["a/b", "example.org:8448"])),
        ("user/a/../b/x", Some(vec!["a/../b", "x"])),
        ("user//x", None),
        ("user/alice", None),
        ("user/alice/", None),
        ("user/alice/x/", None),
        ("user/", None),
        ("user", None),
        ("users/alice/x", None),
        ("", None),
    ] {
        assert_eq!(USER.matches(path), expected, "{path}");
    }
    assert_eq!(SERVER.matches("config/homeserver/x:8448"), Some(vec!["x:8448"]));
    assert_eq!(SERVER.matches("config/homeserver/x/y"), None);
    assert_eq!(SERVER.matches("config/homeserver/"), None);
    assert_eq!(LOGIN.matches("login/@a/b:x"), Some(vec!["@a/b:x"]));
    assert_eq!(LIST.matches("config/user"), Some(vec![]));
    assert_eq!(LIST.matches("config/user/"), Some(vec![]));
    assert_eq!(LIST.matches("config/user/a"), None);
}

#[test]
fn patterns_are_shown_as_other_engines_show_theirs() {
    assert_eq!(USER.regular_expression(), "^user/(?P<localpart>.+)/(?P<server>[^/]+)$");
    assert_eq!(USER.open_api_path(), "/user/{localpart}/{server}");
    assert_eq!(LIST.regular_expression(), "^config/user/?$");
    assert_eq!(LIST.open_api_path(), "/config/user/");
}

#[test]
fn times_as_clients_send_them() {
    for (value, milliseconds) in [
        (json!(30), 30_000),
        (json!(0), 0),
        (json!(1.5), 1500),
        (json!("30"), 30_000),
        (json!(" 1h "), 3_600_000),
        (json!("1h30m"), 5_400_000),
        (json!("1.5h"), 5_400_000),
        (json!("250ms"), 250),
        (json!("7d"), 604_800_000),
    ] {
        let duration = parse_duration(&value).unwrap();
        assert_eq!(duration.as_millis(), milliseconds, "{value}");
    }
    for value in [
        json!(""),
        json!("-1"),
        json!(-1),
        json!("soon"),
        json!("1x"),
        json!("h"),
        json!("1h30"),
        json!("1..5s"),
        json!("9999999999h"),
        json!(1e300),
        json!(true),
        json!(["1h"]),
        json!({}),
    ] {
        assert!(parse_duration(&value).is_err(), "{value}");
    }
}

#[test]
fn true_and_false_as_clients_send_them() {
    for (value, expected) in [
        (json!(true), Ok(true)),
        (json!("true"), Ok(true)),
        (json!("0"), Ok(false)),
        (json!(1), Ok(true)),
        (json!("yes"), Err("must be true or false".to_owned())),
        (json!(2), Err("must be true or false".to_owned())),
        (json!([]), Err("must be true or false".to_owned())),
    ] {
        assert_eq!(parse_boolean(&value), expected, "{value}");
    }
}
