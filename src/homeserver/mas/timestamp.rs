//! Points in time by MAS' clock.

use std::time::SystemTime;

use serde::Deserialize;

/// A point in time, as MAS' clock says it. Ours may say another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp {
    text: String,
    time: SystemTime,
}

impl Timestamp {
    /// The point in time.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// As MAS wrote it, and takes it in filters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for Timestamp {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(Self { time: humantime::parse_rfc3339(&text)?, text })
    }
}
