//! What goes over the wire.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::fuzz::tests::hostile_localpart;
use super::{Client, Config, Entry, KvReader, Version};
use crate::notice::Notices;
use crate::user_id::UserId;

const SERVER_NAME: &str = "example.org";
const PREFIX: &str = "/v1/kv/deep/data/matrix/users/";

/// Answers every request as Vault answers for a missing entry, and passes on what was asked for.
fn listen() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, sender) = (connection.unwrap(), sender.clone());
            std::thread::spawn(move || {
                let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
                while let Some(Ok(request_line)) = lines.next() {
                    while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                    let _ = sender.send(request_line);
                    let answer =
                        "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n{\"errors\":[]}";
                    connection.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    (address, receiver)
}

fn kv(address: &str) -> (Config, KvReader) {
    let config = Config::of_test(address);
    let client = Client::new(&config, Notices::new(|_| {})).unwrap();
    (config, KvReader::new(client, Some(Version::V2)))
}

#[test]
fn every_user_has_a_path_of_their_own_on_the_wire() {
    let (address, asked) = listen();
    let (config, kv) = kv(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::default();
    let outcome = runner.run(&hostile_localpart(), |localpart| {
        let id = format!("@{localpart}:{SERVER_NAME}");
        let Ok(user_id) = UserId::parse(&id, SERVER_NAME) else { return Ok(()) };
        let entry = config.path_root.entry_of(&user_id);
        let found = runtime.block_on(kv.read_login_secret(&entry));
        prop_assert!(matches!(found, Ok(Entry::Missing)));

        let request_line = asked.iter().find(|line| line.contains("/data/")).unwrap();
        let target = request_line.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
        let path = target.strip_prefix(PREFIX).unwrap();
        // Decoded once, as Vault does, it is the id: no two ids share one, none leaves the root.
        prop_assert_eq!(percent_decode_str(path).decode_utf8().unwrap(), id.as_str());
        // And nothing on the way is tempted to resolve it.
        for segment in path.split('/') {
            let decoded = percent_decode_str(segment).decode_utf8().unwrap();
            prop_assert!(!matches!(&*decoded, "" | "." | ".."), "{}", target);
        }
        prop_assert!(!path.contains(['?', '#', '\\']), "{}", target);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn no_id_gets_the_path_of_another() {
    for (id, is_refused) in [
        ("@a/b:example.org", false),
        ("@a//b:example.org", true),
        ("@a/./b:example.org", true),
        ("@a/../b:example.org", true),
        ("@a/b\n:example.org", true),
        ("@a%2fb:example.org", false),
        ("@a/%2e/b:example.org", false),
        ("@a/b:example.org ", true),
        ("@a\\b:example.org", false),
    ] {
        assert_eq!(UserId::parse(id, SERVER_NAME).is_err(), is_refused, "{id:?}");
    }
}
