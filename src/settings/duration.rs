//! Durations as administrators write them: seconds, or a number with its unit.

use std::time::Duration;

use serde_json::Value;

/// Longest duration that is taken: longer ones are slips of the unit.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Takes a number of seconds, or a string such as `250ms`, `5s`, `10m`, `1h`.
///
/// # Errors
/// What is allowed, in words.
pub fn parse(value: &Value) -> Result<Duration, String> {
    let written = match value {
        Value::Number(seconds) => seconds.as_f64().and_then(from_seconds),
        Value::String(text) => match text.trim().parse() {
            Ok(seconds) => from_seconds(seconds),
            Err(_) => humantime::parse_duration(text.trim()).ok(),
        },
        other => return Err(format!("{ALLOWED}, not {}", super::section::kind(other))),
    };
    match written {
        None => Err(ALLOWED.to_owned()),
        Some(duration) if duration > LONGEST => Err("must be at most 7d".to_owned()),
        Some(duration) => Ok(duration),
    }
}

const ALLOWED: &str = "must be a number of seconds from zero up, \
                       or a duration such as \"250ms\", \"5s\", \"10m\" or \"1h\"";

fn from_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
