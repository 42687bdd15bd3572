//! Values as administrators write them.

use std::time::Duration;

use serde_json::Value;

/// Longest duration that is taken: longer ones are slips of the unit.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Longest lifetime that is taken, in seconds: a longer one cannot be told to others.
const LONGEST_LIFETIME: u64 = u32::MAX as u64;

/// Takes a duration: a number of seconds, or a string such as `250ms`, `5s`, `10m`, `1h`.
///
/// # Errors
/// What is allowed, in words.
pub fn parse_duration(value: &Value) -> Result<Duration, String> {
    match read(value)? {
        duration if duration > LONGEST => Err("must be at most 7d".to_owned()),
        duration => Ok(duration),
    }
}

/// Takes how long something lives, in whole seconds from one up.
///
/// # Errors
/// What is allowed, in words.
pub fn parse_lifetime(value: &Value) -> Result<Duration, String> {
    match read(value)?.as_secs() {
        0 => Err("must be at least 1s".to_owned()),
        seconds if seconds > LONGEST_LIFETIME => {
            Err(format!("must be at most {LONGEST_LIFETIME} seconds"))
        }
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

fn read(value: &Value) -> Result<Duration, String> {
    let written = match value {
        Value::Number(seconds) => seconds.as_f64().and_then(from_seconds),
        Value::String(text) => match text.trim().parse() {
            Ok(seconds) => from_seconds(seconds),
            Err(_) => humantime::parse_duration(text.trim()).ok(),
        },
        other => return Err(format!("{ALLOWED}, not {}", kind(other))),
    };
    written.ok_or_else(|| ALLOWED.to_owned())
}

const ALLOWED: &str = "must be a number of seconds from zero up, \
                       or a duration such as \"250ms\", \"5s\", \"10m\" or \"1h\"";

fn from_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// What a value is, in the words of YAML.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
