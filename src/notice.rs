//! What the background has to say to the administrator, apart from any login.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::Mutex;

/// How much an administrator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All goes as it should.
    Info,
    /// Logins work, and something should be changed before they fail.
    Warning,
    /// Logins fail, or will soon.
    Error,
}

/// A line for the log. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How much an administrator should care.
    pub level: Level,
    /// What happened, and what to do.
    pub text: String,
}

/// Where notices go.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(Notice) + Send + Sync>);

impl Notices {
    /// Sends notices to `sink`, which must not wait.
    pub fn new(sink: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// All goes as it should.
    pub fn info(&self, text: impl Into<String>) {
        (self.0)(Notice { level: Level::Info, text: text.into() });
    }

    /// Logins work, and something should be changed before they fail.
    pub fn warning(&self, text: impl Into<String>) {
        (self.0)(Notice { level: Level::Warning, text: text.into() });
    }

    /// Logins fail, or will soon.
    pub fn error(&self, text: impl Into<String>) {
        (self.0)(Notice { level: Level::Error, text: text.into() });
    }
}

/// Keeps the same line from being written over and over.
///
/// A line is written when it is new, and again once the interval has passed while it stays true.
#[derive(Debug)]
pub struct Throttle {
    every: Duration,
    last: Mutex<Option<(String, Instant)>>,
}

impl Throttle {
    /// Lets the same line through once in this time.
    #[must_use]
    pub const fn new(every: Duration) -> Self {
        Self { every, last: Mutex::new(None) }
    }

    /// Lets the same line through once, until it stops being true.
    #[must_use]
    pub const fn once() -> Self {
        Self::new(Duration::MAX)
    }

    /// Calls `write` with what is wrong now, unless the same was written a short while ago.
    /// `None` says that nothing is wrong any more.
    pub fn say(&self, wrong: Option<String>, write: impl FnOnce(&str)) {
        let mut last = self.last.lock();
        match (wrong, &*last) {
            (None, _) => *last = None,
            (Some(wrong), Some((before, at))) if *before == wrong && at.elapsed() < self.every => {}
            (Some(wrong), _) => {
                write(&wrong);
                *last = Some((wrong, Instant::now()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_repeated_after_its_interval_and_when_it_comes_back() {
        let throttle = Throttle::new(Duration::from_secs(10));
        let written = Mutex::new(Vec::new());
        let say = |wrong: Option<&str>| {
            throttle.say(wrong.map(str::to_owned), |line| written.lock().push(line.to_owned()));
        };
        say(Some("a"));
        say(Some("a"));
        say(Some("b"));
        tokio::time::advance(Duration::from_secs(9)).await;
        say(Some("b"));
        tokio::time::advance(Duration::from_secs(1)).await;
        say(Some("b"));
        say(None);
        say(Some("b"));
        assert_eq!(*written.lock(), ["a", "b", "b", "b"]);
    }
}
