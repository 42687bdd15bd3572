//! Entries as they are stored in Vaults today: what they mean, and that they stay as they are.
//!
//! `tests/vectors/stored_entries.json` has them as literal JSON. Whoever changes it breaks entries
//! that exist: a new version of the project must read and write all of them as before. Tests in
//! Python go on from the same entries on real servers.

use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::account_entry::{AccountEntry, Intent, Record};
use super::creation_method::{CreatedAs, CreationAttempt, CreationMethod};
use crate::vault::EntryVersion;

const LOGIN_SECRET: &str = "stored-login-secret-0123456789-abcdefghijkl";
const PASSWORD: &str = "stored-password-0123456789-ABCDEFGHIJKLMNOP";

/// The version that all of them have in these tests.
const VERSION: u32 = 2;

fn stored(name: &str) -> Map<String, Value> {
    let text = include_str!("../../../tests/vectors/stored_entries.json");
    let mut all: Map<String, Value> = serde_json::from_str(text).unwrap();
    let Some(Value::Object(fields)) = all.remove(name) else { panic!("no {name}") };
    fields
}

fn read(name: &str) -> Record {
    let fields = Some(stored(name));
    Record::of(EntryVersion { version: VERSION, fields, ..EntryVersion::default() })
}

fn intent(name: &str) -> Intent {
    let Record::Intent(intent) = read(name) else { panic!("{name} is no intent") };
    assert_eq!(intent.login_secret.expose_secret(), LOGIN_SECRET);
    assert_eq!(intent.password.expose_secret(), PASSWORD);
    assert_eq!(intent.fields(), stored(name));
    intent
}

fn entry(name: &str) -> AccountEntry {
    let Record::Entry(entry) = read(name) else { panic!("{name} is no entry") };
    assert_eq!(entry.login_secret.expose_secret(), LOGIN_SECRET);
    entry
}

/// As a bot that is an administrator.
fn admin_bot() -> CreatedAs {
    CreatedAs { is_admin: true, user_type: Some("bot".to_owned()) }
}

#[test]
fn an_intent_to_register() {
    let intent = intent("intent by registration");
    assert_eq!(intent.external_id.as_deref(), Some("7"));
    assert_eq!(intent.started, Some(1_700_000_000));
    assert_eq!(
        intent.attempts,
        [CreationAttempt { method: CreationMethod::SharedSecret, wanted: admin_bot() }]
    );
    assert_eq!(intent.versions(VERSION), [VERSION]);
    assert_eq!(intent.created_by(Some(CreationMethod::SharedSecret)), Some(admin_bot()));
    assert_eq!(intent.entry_fields(1, &admin_bot(), None), stored("done"));
}

#[test]
fn an_intent_to_use_the_admin_api() {
    let intent = intent("intent over the admin API");
    assert_eq!(intent.external_id, None);
    assert_eq!(
        intent.attempts,
        [CreationAttempt { method: CreationMethod::AdminApi, wanted: CreatedAs::default() }]
    );
    assert_eq!(
        intent.entry_fields(1, &CreatedAs::default(), None),
        stored("done over the admin API")
    );
}

#[test]
fn an_intent_to_create_at_mas() {
    let intent = intent("intent at MAS");
    assert_eq!(intent.external_id.as_deref(), Some("7"));
    let wanted = CreatedAs { is_admin: true, user_type: None };
    assert_eq!(intent.attempts, [CreationAttempt { method: CreationMethod::Mas, wanted }]);
    // MAS creates nobody as an administrator.
    assert_eq!(intent.created_by(Some(CreationMethod::Mas)), Some(CreatedAs::default()));
}

#[test]
fn an_intent_that_was_tried_by_both_methods() {
    let intent = intent("intent by both methods");
    assert_eq!(
        intent.attempts,
        [
            CreationAttempt { method: CreationMethod::AdminApi, wanted: admin_bot() },
            CreationAttempt { method: CreationMethod::SharedSecret, wanted: CreatedAs::default() },
        ]
    );
    assert_eq!(intent.versions(VERSION), [1, VERSION]);
}

#[test]
fn an_intent_that_was_written_without_the_homeservers_clock() {
    assert_eq!(intent("intent without a clock").started, None);
}

#[test]
fn an_intent_that_was_given_up() {
    assert!(matches!(read("given up"), Record::Nothing));
    assert_eq!(Intent::given_up_fields(), stored("given up"));
}

#[test]
fn an_adopted_account() {
    for (name, versions) in [("adopted", &[1][..]), ("adopted without an intent", &[])] {
        let entry = entry(name);
        assert_eq!(entry.external_id.as_deref(), Some("7"));
        assert_eq!(entry.created_as, None);
        assert_eq!(entry.intent_versions, versions);
        assert_eq!(entry.with_owner(None, None, None), stored(name));
        let written = AccountEntry::adopted_fields(&LOGIN_SECRET.into(), Some("7"), versions, None);
        assert_eq!(written, stored(name));
        let rotated = entry.with_secret(&LOGIN_SECRET.into());
        assert_eq!(rotated, stored("adopted without an intent"));
    }
}

#[test]
fn an_account_that_was_created() {
    for (name, created_as, external_id, versions) in [
        ("done", admin_bot(), Some("7"), &[1][..]),
        ("done over the admin API", CreatedAs::default(), None, &[1]),
        ("done and rotated", admin_bot(), None, &[]),
    ] {
        let entry = entry(name);
        assert_eq!(entry.external_id.as_deref(), external_id);
        assert_eq!(entry.created_as.as_ref(), Some(&created_as));
        assert_eq!(entry.intent_versions, versions);
        // It is written again from what was read, not copied.
        assert_eq!(entry.with_owner(external_id, Some(&created_as), None), stored(name));
    }
}

#[test]
fn a_revocation_that_is_not_finished() {
    let Record::Revoking(revocation) = read("revoking") else { panic!("no revocation") };
    assert!(revocation.wanted.deactivate && revocation.had_secret);
    assert_eq!(
        (revocation.since, revocation.external_id.as_deref()),
        (Some(1_700_000_000), Some("7"))
    );
    assert_eq!(revocation.fields(), stored("revoking"));
}

#[test]
fn an_account_whose_creation_is_known() {
    let entry = entry("done at a known time");
    assert_eq!(entry.creation_ts, Some(1_700_000_001));
    assert_eq!(
        entry.with_owner(None, Some(&admin_bot()), entry.creation_ts),
        stored("done at a known time")
    );
}

#[test]
fn another_secret_for_an_account_that_was_created() {
    let mut fields = entry("done").with_secret(&LOGIN_SECRET.into());
    fields.remove("external_id");
    assert_eq!(fields, stored("done and rotated"));
}
