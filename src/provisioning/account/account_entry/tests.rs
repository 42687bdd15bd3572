//! What is written into entries, and what is made of entries that are read.

use super::*;

fn intent() -> Intent {
    Intent {
        login_secret: "the secret".into(),
        password: "the password".into(),
        started: Some(1_700_000_000),
        was_free_at_homeserver: false,
        attempts: vec![CreationAttempt { method: CreationMethod::SharedSecret, wanted: bot() }],
        earlier_versions: vec![3],
        external_id: Some("42".to_owned()),
    }
}

fn bot() -> CreatedAs {
    CreatedAs { is_admin: true, user_type: Some("bot".to_owned()) }
}

fn read(fields: Map<String, Value>) -> Record {
    Record::of(EntryVersion { version: 5, fields: Some(fields), ..EntryVersion::default() })
}

#[test]
fn an_intent_opens_nothing_and_is_read_back() {
    let fields = intent().fields();
    assert!(!fields.contains_key(LOGIN_SECRET));
    let Record::Intent(read) = read(fields) else { panic!("no intent") };
    assert_eq!(read.login_secret.expose_secret(), "the secret");
    assert_eq!(read.password.expose_secret(), "the password");
    assert_eq!(read.started, Some(1_700_000_000));
    assert_eq!(read.versions(4), [3, 4]);
    assert_eq!(read.attempts, intent().attempts);
    assert_eq!(read.external_id.as_deref(), Some("42"));
}

#[test]
fn an_entry_has_the_secret_and_no_password() {
    let fields = intent().entry_fields(4, &bot(), None);
    assert!(!Value::Object(fields.clone()).to_string().contains("the password"));
    let Record::Entry(entry) = read(fields) else { panic!("no entry") };
    assert_eq!(entry.login_secret.expose_secret(), "the secret");
    assert_eq!(entry.external_id.as_deref(), Some("42"));
    assert_eq!(entry.created_as, Some(bot()));
    assert_eq!(entry.intent_versions, [3, 4]);
}

#[test]
fn what_an_account_was_created_as() {
    let by = |method, wanted| CreationAttempt { method, wanted };
    let intent = intent().with_attempt(by(CreationMethod::AdminApi, bot()), 4);
    assert_eq!(intent.versions(5), [3, 4, 5]);
    assert_eq!(intent.created_by(Some(CreationMethod::SharedSecret)), Some(bot()));
    assert_eq!(intent.created_by(Some(CreationMethod::AdminApi)), Some(CreatedAs::default()));
    assert_eq!(intent.created_by(None), None);
    let intent = intent.with_attempt(by(CreationMethod::SharedSecret, CreatedAs::default()), 5);
    assert_eq!(intent.created_by(Some(CreationMethod::SharedSecret)), None);
}

#[test]
fn an_adopted_entry_remembers_what_is_to_be_destroyed() {
    let fields = AccountEntry::adopted_fields(&"the secret".into(), None, &[1, 2], None);
    let Record::Entry(entry) = read(fields) else { panic!("no entry") };
    assert_eq!((entry.intent_versions.as_slice(), &entry.created_as), (&[1, 2][..], &None));
    let hand_made = AccountEntry::adopted_fields(&"another".into(), None, &[], None);
    assert_eq!(entry.with_secret(&"another".into()), hand_made);
}

#[test]
fn a_copied_entry_leaves_its_history_behind_when_it_gets_another_secret() {
    let fields = AccountEntry::adopted_fields(&"the secret".into(), None, &[1], None);
    let copied = EntryVersion { version: 1, fields: Some(fields), ..EntryVersion::default() };
    let Record::Entry(entry) = Record::of(copied) else { panic!("no entry") };
    let hand_made = AccountEntry::adopted_fields(&"another".into(), None, &[], None);
    assert_eq!(entry.with_secret(&"another".into()), hand_made);
}

#[test]
fn when_the_account_was_created_is_kept() {
    let Record::Entry(entry) = read(intent().entry_fields(4, &bot(), Some(1_700_000_001))) else {
        panic!("no entry")
    };
    assert_eq!(entry.creation_ts, Some(1_700_000_001));
    let Record::Entry(rotated) = read(entry.with_secret(&"another".into())) else {
        panic!("no entry")
    };
    assert_eq!((rotated.creation_ts, rotated.created_as), (Some(1_700_000_001), Some(bot())));
    let fields = AccountEntry::adopted_fields(&"the secret".into(), None, &[], Some(7));
    let Record::Entry(adopted) = read(fields) else { panic!("no entry") };
    assert_eq!((adopted.creation_ts, &adopted.created_as), (Some(7), &None));
    let moved = adopted.with_owner(Some("42"), None, Some(8));
    let Record::Entry(moved) = read(moved) else { panic!("no entry") };
    assert_eq!((moved.creation_ts, moved.external_id.as_deref()), (Some(8), Some("42")));
}

#[test]
fn a_revocation_has_no_secret_and_is_read_back() {
    let revocation = Revocation {
        wanted: RevocationWanted { deactivate: true },
        since: Some(1_700_000_000),
        had_secret: true,
        external_id: Some("42".to_owned()),
    };
    let fields = revocation.fields();
    assert!(!fields.contains_key(LOGIN_SECRET));
    let Record::Revoking(read) = read(fields) else { panic!("no revocation") };
    assert_eq!(read, revocation);
}

#[test]
fn what_was_given_up_is_nothing() {
    assert!(matches!(read(Intent::given_up_fields()), Record::Nothing));
}

#[test]
fn another_secret_leaves_the_rest() {
    let mut fields = intent().entry_fields(4, &bot(), None);
    fields.insert("display_name".to_owned(), "Bot".into());
    let Record::Entry(entry) = read(fields) else { panic!("no entry") };
    let fields = entry.with_secret(&"another".into());
    assert_eq!(fields.get("display_name"), Some(&"Bot".into()));
    let Record::Entry(entry) = read(fields) else { panic!("no entry") };
    assert_eq!(entry.login_secret.expose_secret(), "another");
    assert_eq!(entry.external_id.as_deref(), Some("42"));
    assert_eq!(entry.created_as, Some(bot()));
    assert!(entry.intent_versions.is_empty());
}

#[test]
fn the_live_version_is_never_one_to_destroy() {
    let fields = intent().entry_fields(4, &bot(), None);
    let copied = EntryVersion { version: 4, fields: Some(fields), ..EntryVersion::default() };
    let Record::Entry(entry) = Record::of(copied) else { panic!("no entry") };
    assert_eq!(entry.intent_versions, [3]);
}

#[test]
fn entries_made_by_hand() {
    let hand_made = |value: Value| match value {
        Value::Object(fields) => read(fields),
        _ => Record::Nothing,
    };
    let Record::Entry(entry) = hand_made(serde_json::json!({"login_secret": "s"})) else {
        panic!("no entry")
    };
    assert_eq!((entry.external_id, entry.created_as), (None, None));
    for unusable in [
        serde_json::json!({}),
        serde_json::json!({"login_secret": ""}),
        serde_json::json!({"login_secret": 5}),
        serde_json::json!({"login_secret": "s", "external_id": 42}),
        serde_json::json!({"provisioning": {"state": "unheard of"}}),
    ] {
        assert!(matches!(hand_made(unusable), Record::Unusable(_)));
    }
    assert!(matches!(Record::of(EntryVersion::default()), Record::Nothing));
}
