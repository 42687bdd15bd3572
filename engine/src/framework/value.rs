//! Values as clients send them: the command line sends everything as a string.

use std::time::Duration;

use serde_json::Value;

/// Longest duration that a lease can last: the host counts nanoseconds in 63 bits.
const LONGEST: Duration = Duration::from_secs(i64::MAX as u64 / 1_000_000_000);

/// Units, with their nanoseconds. The longer of two that begin alike is first.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 6e10),
    ("h", 3.6e12),
    ("d", 8.64e13),
];

/// Takes a time as Vault does: a number of seconds, or a text such as `30`, `90s`, `1h30m`, `7d`.
///
/// # Errors
/// What is allowed, in words.
pub fn parse_duration(value: &Value) -> Result<Duration, String> {
    let duration = match value {
        Value::Number(seconds) => seconds.as_f64().and_then(from_seconds),
        Value::String(text) => parse_text(text.trim()),
        _ => None,
    };
    match duration {
        None => {
            Err("must be a number of seconds from zero up, or a time such as \"90s\", \"15m\", \
                     \"1h\" or \"7d\""
                .to_owned())
        }
        Some(duration) if duration > LONGEST => Err("must be less than 292 years".to_owned()),
        Some(duration) => Ok(duration),
    }
}

fn from_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

fn parse_text(text: &str) -> Option<Duration> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !text.is_empty() && is_number(text) {
        return from_seconds(text.parse().ok()?);
    }
    let mut rest = text;
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let (unit, factor) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        nanoseconds += number.parse::<f64>().ok()? * factor;
        rest = after.strip_prefix(unit)?;
    }
    if text.is_empty() { None } else { from_seconds(nanoseconds / 1e9) }
}

/// Takes true or false.
///
/// # Errors
/// What is allowed, in words.
pub fn parse_boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) => match text.trim() {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(true),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(false),
            _ => Err(BOOLEAN.to_owned()),
        },
        Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
        _ => Err(BOOLEAN.to_owned()),
    }
}

const BOOLEAN: &str = "must be true or false";
