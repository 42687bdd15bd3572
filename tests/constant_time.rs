//! How many instructions it takes to refuse a hash, counted by Valgrind: whichever byte is wrong.
//!
//! The test runs this very program under Valgrind's `callgrind`, which counts what goes on below
//! one function. A count does not depend on what else the machine does, as a time would. Valgrind
//! knows no SHA instructions, so SHA-256 is computed as on a processor without them; the comparison
//! is the same everywhere.

use std::error::Error;
use std::hint::black_box;
use std::ops::Range;
use std::process::Command;

use secrecy::SecretString;
use synapse_vault_auth_provider_core::token_hash::{PresentedHash, token_hash};

const USER_ID: &str = "@alice:example.org";
const LOGIN_SECRET: &str = "Kq7wXoVb3mZr5tYc9nLd2hFs6jGp8aEu4iRk1vTxB0Q";

/// Says which hash is to be refused, where Valgrind watches.
const WATCHED: &str = "CONSTANT_TIME_CASE";

/// By how many a missing secret may differ, as an empty key is copied in fewer steps than a long
/// one. Optimized it is one, otherwise some dozens.
const KEY_COPIED: u64 = 100;

/// What is refused, in which bytes its hash differs from the right one, and whether Vault has a
/// secret.
const REFUSED: [(&str, Range<usize>, bool); 4] = [
    ("the first byte is wrong", 0..1, true),
    ("the last byte is wrong", 31..32, true),
    ("all bytes are wrong", 0..32, true),
    ("there is no secret", 0..0, false),
];

#[test]
fn a_wrong_hash_is_refused_in_the_same_number_of_instructions_whichever_byte_is_wrong() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: there is no valgrind, which counts the instructions");
        return;
    }
    let counts = REFUSED.map(|(name, ..)| (name, instructions(name).unwrap()));
    println!("{counts:?}");
    let [(_, first), (_, last), (_, all), (_, none)] = counts;
    assert!(first > 1000, "nothing was counted: {counts:?}");
    assert_eq!((first, first), (last, all), "{counts:?}");
    assert!(none.abs_diff(first) <= KEY_COPIED, "{counts:?}");
}

/// Not a test: what Valgrind watches.
#[test]
#[ignore = "run by the other test, under Valgrind"]
fn watched() {
    let Ok(watched) = std::env::var(WATCHED) else { return };
    let (_, wrong, has_secret) = REFUSED.into_iter().find(|(name, ..)| *name == watched).unwrap();
    let mut digest = base16ct::lower::decode_vec(token_hash(LOGIN_SECRET, USER_ID)).unwrap();
    digest[wrong].iter_mut().for_each(|byte| *byte ^= 0xff);
    let presented = PresentedHash::parse(&base16ct::lower::encode_string(&digest)).unwrap();
    let secret = has_secret.then(|| SecretString::from(LOGIN_SECRET));
    assert!(!counted_verification(&presented, secret.as_ref()));
}

#[inline(never)]
fn counted_verification(presented: &PresentedHash, secret: Option<&SecretString>) -> bool {
    black_box(presented).matches(black_box(secret), black_box(USER_ID))
}

/// How many instructions it takes to verify one hash.
fn instructions(name: &str) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*counted_verification*"])
        .arg(std::env::current_exe()?)
        .args(["--ignored", "--exact", "watched"])
        .env(WATCHED, name)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.ok_or(text.as_str())?;
    Ok(count.trim().parse()?)
}
