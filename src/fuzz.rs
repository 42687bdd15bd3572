//! Hostile input: what is kept of it in `tests/corpus/`, and more of it, made up by the thousand.
//!
//! A target is a function of bytes that panics if it finds something that must never be. Its inputs
//! are the files of its corpus, what becomes of them when they are changed here and there, and what
//! the target itself knows to be interesting. `PROPTEST_CASES` says how many are made up; `make
//! fuzz` says it, and has libFuzzer call the same functions from `fuzz/`, led by what its inputs
//! reach in the code.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestError, TestRunner};
use serde_json::Value;

/// What parsers have been known to stumble over, as pieces of JSON and of what is not.
const PIECES: [&[u8]; 36] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"\\",
    b"null",
    b"true",
    b"false",
    b"{}",
    b"[]",
    b"\"\"",
    b"0",
    b"-0",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"NaN",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"\0",
    b"\n",
    b"\x7f",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    "\u{202e}".as_bytes(),
    "\u{10ffff}".as_bytes(),
    b" ",
    b"/",
    b"..",
    b"%2e",
];

/// Runs a target on its corpus and on inputs that are made up; panics if one fails.
///
/// `words` are the names and texts that mean something to the target. The smallest input found to
/// fail is put into the corpus, to be kept there with the fix.
pub fn fuzz(
    target: &str,
    words: &'static [&'static str],
    known: impl Strategy<Value = Vec<u8>> + 'static,
    check: impl Fn(&[u8]),
) {
    let corpus = corpus(target);
    for (file, input) in &corpus {
        println!("{}", file.display());
        check(input);
    }
    let inputs: Vec<_> = corpus.into_iter().map(|(_, input)| input).collect();
    let made_up = prop_oneof![
        4 => changed_json(&inputs, words),
        3 => changed_bytes(inputs, words),
        2 => known,
        1 => vec(any::<u8>(), 0..64),
    ];
    // Seeds would mean nothing any more once this changes; the inputs themselves are kept.
    let config = Config { failure_persistence: None, ..Config::default() };
    let found = TestRunner::new(config).run(&made_up, |input| {
        check(&input);
        Ok(())
    });
    if let Err(TestError::Fail(why, input)) = found {
        panic!("{why}\nThe input is kept as {}", keep(target, &input).display());
    }
}

/// The corpus is the repository's, whichever of its crates this belongs to.
fn folder(target: &str) -> PathBuf {
    let mut roots = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    roots
        .find_map(|root| Some(root.join("tests/corpus")).filter(|all| all.is_dir()))
        .unwrap()
        .join(target)
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> =
        fs::read_dir(folder(target)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus for {target}");
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

fn keep(target: &str, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = folder(target).join(format!("found-{:016x}", hasher.finish()));
    fs::write(&file, input).unwrap();
    file
}

/// Texts: words, what is hostile, and anything.
fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let pieces: Vec<&str> =
        PIECES.iter().filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
    prop_oneof![
        4 => select(words).prop_map(str::to_owned),
        1 => select(pieces).prop_map(str::to_owned),
        1 => vec(any::<char>(), 0..8).prop_map(String::from_iter),
    ]
}

/// Any JSON, whose keys and texts often are words that mean something.
fn json(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        2 => select(vec![
            Value::Null, true.into(), false.into(), 0.into(), 1.into(), 2.into(), (-1).into(),
            0.5.into(), u64::MAX.into(), i64::MIN.into(), f64::MAX.into(),
        ]),
        1 => any::<f64>().prop_map(Value::from),
        3 => text(words).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((text(words), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// One change of a JSON value, somewhere in it.
#[derive(Clone, Debug)]
enum Change {
    /// Something else in its place.
    Replace(Value),
    /// One more field or item.
    Insert(String, Value),
    /// One field or item fewer.
    Remove(Index),
    /// The value inside a list, or a mapping with this key.
    Wrap(Option<String>),
}

/// JSON of the corpus, changed in a few places.
fn changed_json(
    inputs: &[Vec<u8>],
    words: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> + use<> {
    let values: Vec<Value> =
        inputs.iter().filter_map(|input| serde_json::from_slice(input).ok()).collect();
    // Targets whose input is no JSON have none to change.
    let values = if values.is_empty() { vec![Value::Null] } else { values };
    let change = prop_oneof![
        3 => json(words).prop_map(Change::Replace),
        2 => (text(words), json(words)).prop_map(|(key, value)| Change::Insert(key, value)),
        2 => any::<Index>().prop_map(Change::Remove),
        1 => prop::option::of(text(words)).prop_map(Change::Wrap),
    ];
    (select(values), vec((any::<Index>(), change), 0..4)).prop_map(|(mut value, changes)| {
        for (place, change) in changes {
            let mut places = Vec::new();
            list_places(&value, String::new(), &mut places);
            apply(change, value.pointer_mut(place.get::<String>(&places)).unwrap());
        }
        value.to_string().into_bytes()
    })
}

/// Lists the JSON pointers to a value and to all inside it.
fn list_places(value: &Value, here: String, places: &mut Vec<String>) {
    let fields: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
            fields.iter().map(|(key, value)| (escape(key), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in fields {
        list_places(value, format!("{here}/{key}"), places);
    }
    places.push(here);
}

fn apply(change: Change, to: &mut Value) {
    match (change, to) {
        (Change::Replace(value), to) => *to = value,
        (Change::Insert(key, value), Value::Object(fields)) => drop(fields.insert(key, value)),
        (Change::Insert(_, value), Value::Array(items)) => items.push(value),
        (Change::Remove(which), Value::Object(fields)) if !fields.is_empty() => {
            let key = fields.keys().nth(which.index(fields.len())).cloned().unwrap();
            fields.remove(&key);
        }
        (Change::Remove(which), Value::Array(items)) if !items.is_empty() => {
            items.remove(which.index(items.len()));
        }
        (Change::Insert(..) | Change::Remove(_), to) => *to = Value::Null,
        (Change::Wrap(None), to) => *to = Value::Array(vec![to.take()]),
        (Change::Wrap(Some(key)), to) => {
            *to = Value::Object([(key, to.take())].into_iter().collect());
        }
    }
}

/// One change of bytes: a part of them is removed, and these are put in its place.
type Edit = (Index, usize, Vec<u8>);

/// The corpus, cut and spliced without regard to what it means.
fn changed_bytes(
    inputs: Vec<Vec<u8>>,
    words: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        2 => text(words).prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..4),
    ];
    // Up to 40 bytes at once, so that a name, a value or a brace that belongs to another may go.
    let edit = (any::<Index>(), prop_oneof![Just(0), Just(1), 0..40_usize], piece);
    (select(inputs), vec(edit, 1..4)).prop_map(|(mut input, edits): (Vec<u8>, Vec<Edit>)| {
        for (place, length, piece) in edits {
            let start = place.index(input.len() + 1);
            let end = (start + length).min(input.len());
            input.splice(start..end, piece);
        }
        input
    })
}
