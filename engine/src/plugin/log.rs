//! Lines that the host takes into its log: JSON on stderr, as hclog writes it.
//!
//! A host that finds a level or a message that is no string panics, and a time without exactly six
//! digits after the second is not taken for one.

use std::io::Write;
use std::time::SystemTime;

use serde_json::json;
use synapse_vault_auth_provider_core::notice::{Level, Notice, Notices};

/// What the lines say that they come from.
const MODULE: &str = "matrix";

/// Where a mount's notices go: into the host's log.
pub fn notices() -> Notices {
    Notices::new(|Notice { level, text }| {
        let level = match level {
            Level::Info => "info",
            Level::Warning => "warn",
            Level::Error => "error",
        };
        write(level, &text);
    })
}

/// Logs what went wrong with the plugin itself.
pub fn error(text: &str) {
    write("error", text);
}

/// Logs what helps to find out what went wrong.
pub fn debug(text: &str) {
    write("debug", text);
}

fn write(level: &str, text: &str) {
    let line = line(level, text, SystemTime::now());
    // In one piece, as several threads may write; a host that is gone hears nothing.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

fn line(level: &str, text: &str, now: SystemTime) -> String {
    let timestamp = humantime::format_rfc3339_micros(now).to_string();
    let line = json!({
        "@level": level,
        "@message": text,
        "@module": MODULE,
        "@timestamp": timestamp,
    });
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_what_hclog_writes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001);
        let line = line("warn", "two\nlines and a \"quote\"", now);
        assert_eq!(line.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["@level"], "warn");
        assert_eq!(read["@message"], "two\nlines and a \"quote\"");
        assert_eq!(read["@timestamp"], "2023-11-14T22:13:20.000001Z");
    }
}
