//! What the background has to say to the administrator, apart from any login.

use std::sync::Arc;

/// How much an administrator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All goes as it should.
    Info,
    /// Something wants care before it becomes trouble.
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

    /// Something wants care before it becomes trouble.
    pub fn warning(&self, text: impl Into<String>) {
        (self.0)(Notice { level: Level::Warning, text: text.into() });
    }

    /// Logins fail, or will soon.
    pub fn error(&self, text: impl Into<String>) {
        (self.0)(Notice { level: Level::Error, text: text.into() });
    }
}
