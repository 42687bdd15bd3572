//! What a user's entry holds: the secret, and the name of a new account.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde_json::{Map, Value};
use vaultrs::api::kv2::responses::SecretVersionMetadata;

/// The field of an entry that holds a user's secret.
pub const LOGIN_SECRET: &str = "login_secret";

/// The field with the name that a new account is shown under.
const DISPLAY_NAME: &str = "display_name";

/// Longest display name that homeservers take, in characters.
const LONGEST_DISPLAY_NAME: usize = 256;

/// How much the clocks of Vault's nodes may disagree.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(10);

/// What Vault holds for one user.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A secret that can open the account.
    Secret(Secret),
    /// Nothing: never written, deleted or destroyed.
    Missing,
    /// An entry whose `login_secret` can open nothing. Says why.
    Unusable(&'static str),
}

/// An entry that can open the account.
#[derive(Clone, Debug)]
pub struct Secret {
    /// What opens it.
    pub login_secret: SecretString,
    /// What the account is to be called, should it be new.
    pub display_name: Option<String>,
    /// Which version of the entry this is; `None` if Vault's answer does not say.
    pub revision: Option<Revision>,
    /// How long after Vault's answer this version is deleted; `None` if it is not to be.
    pub deleted_in: Option<Duration>,
}

/// A version of an entry, and when it was written. All times are those of Vault's own clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The version's number, from one up.
    pub number: u64,
    /// When it was written.
    pub created: SystemTime,
    /// When Vault answered with it, to the second.
    pub answered: SystemTime,
}

impl Revision {
    /// Reads the metadata of a version; `None` if a part of it is missing or cannot be read.
    ///
    /// `date` is that of the answer, in seconds since 1970.
    #[must_use]
    pub fn of(metadata: &SecretVersionMetadata, date: Option<u64>) -> Option<Self> {
        let created = humantime::parse_rfc3339(&metadata.created_time).ok()?;
        let answered = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(date?))?;
        Some(Self { number: metadata.version, created, answered })
    }

    /// How old the version was when Vault answered.
    ///
    /// Zero if it was written a little later than that by the clocks of Vault's nodes; `None` if
    /// these disagree by so much that nothing is known.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        match self.answered.duration_since(self.created) {
            Ok(age) => Some(age),
            Err(ahead) => (ahead.duration() <= MAX_CLOCK_SKEW).then_some(Duration::ZERO),
        }
    }
}

impl Entry {
    /// Reads the fields of an entry.
    pub(super) fn of(
        fields: Value,
        revision: Option<Revision>,
        deleted_in: Option<Duration>,
    ) -> Self {
        let Value::Object(fields) = fields else { return Self::Missing };
        match login_secret(&fields) {
            Ok(login_secret) => Self::Secret(Secret {
                login_secret,
                display_name: fields.get(DISPLAY_NAME).and_then(display_name),
                revision,
                deleted_in,
            }),
            Err(problem) => Self::Unusable(problem),
        }
    }
}

/// The secret of an entry with these fields.
///
/// # Errors
/// Why it can open nothing: it is missing, empty, or not a string.
pub fn login_secret(fields: &Map<String, Value>) -> Result<SecretString, &'static str> {
    match fields.get(LOGIN_SECRET) {
        Some(Value::String(secret)) if secret.is_empty() => Err("its login_secret is empty"),
        Some(Value::String(secret)) => Ok(SecretString::from(secret.as_str())),
        Some(_) => Err("its login_secret is not a string"),
        None => Err("it has no login_secret"),
    }
}

/// A name to show: one line, not too long. `None` if the value holds no such name.
fn display_name(value: &Value) -> Option<String> {
    let printable = value.as_str()?.chars().filter(|character| !character.is_control());
    let name: String = printable.take(LONGEST_DISPLAY_NAME).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_are_short_text_on_one_line() {
        use serde_json::json;

        let long = "ü".repeat(300);
        for (value, name) in [
            (json!("Alice"), Some("Alice")),
            (json!(" Alice\n of\0 Wonderland "), Some("Alice of Wonderland")),
            (json!(long), Some(&long[..512])),
            (json!(""), None),
            (json!("\n"), None),
            (json!(5), None),
            (json!(["Alice"]), None),
        ] {
            assert_eq!(display_name(&value).as_deref(), name);
        }
    }

    fn revision(created: &str, date: Option<u64>) -> Option<Revision> {
        let metadata = serde_json::json!({
            "created_time": created, "deletion_time": "", "destroyed": false, "version": 3,
        });
        Revision::of(&serde_json::from_value(metadata).unwrap(), date)
    }

    #[test]
    fn the_age_of_a_version_is_by_vaults_clocks() {
        for (created, date, age) in [
            ("2001-09-09T01:46:40.000000001Z", 1_000_000_600, Some(599)),
            ("2001-09-09T01:46:40Z", 1_000_000_600, Some(600)),
            // A second is cut off, and nodes may disagree.
            ("2001-09-09T01:46:40.9Z", 1_000_000_000, Some(0)),
            ("2001-09-09T01:46:50Z", 1_000_000_000, Some(0)),
            ("2001-09-09T01:46:51Z", 1_000_000_000, None),
            ("2101-01-01T00:00:00Z", 1_000_000_000, None),
        ] {
            let found = revision(created, Some(date)).unwrap().age();
            assert_eq!(found.map(|age| age.as_secs()), age, "{created}");
        }
    }

    #[test]
    fn a_revision_needs_all_of_its_metadata() {
        assert_eq!(revision("2001-09-09T01:46:40Z", None), None);
        assert_eq!(revision("2001-09-09T01:46:40Z", Some(u64::MAX)), None);
        assert_eq!(revision("", Some(1_000_000_000)), None);
        assert_eq!(revision("yesterday", Some(1_000_000_000)), None);
    }
}
