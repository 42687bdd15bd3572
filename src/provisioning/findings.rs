//! What is found when somebody looks for what is wrong.

/// What was found of one link of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The link.
    pub link: String,
    /// Whether it holds.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub mend: Option<String>,
}

/// Whether a link holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Ok,
    /// It does, and might be better.
    Warning,
    /// It keeps logins from working.
    Failed,
    /// Nothing can be said of it before the links above hold.
    Skipped,
}

impl Status {
    /// The status in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The findings so far.
#[derive(Default)]
pub struct Report(pub Vec<Finding>);

impl Report {
    pub fn ok(&mut self, link: &str, found: impl Into<String>) {
        self.add(link, Status::Ok, found, None);
    }

    pub fn warning(&mut self, link: &str, found: impl Into<String>, mend: impl Into<String>) {
        self.add(link, Status::Warning, found, Some(mend.into()));
    }

    pub fn failed(&mut self, link: &str, found: impl Into<String>, mend: impl Into<String>) {
        self.add(link, Status::Failed, found, Some(mend.into()));
    }

    pub fn skipped(&mut self, link: &str, why: impl Into<String>) {
        self.add(link, Status::Skipped, why, None);
    }

    pub fn skip_all<const N: usize>(&mut self, links: [&str; N], why: &str) {
        for link in links {
            self.skipped(link, why);
        }
    }

    fn add(&mut self, link: &str, status: Status, found: impl Into<String>, mend: Option<String>) {
        let (link, found) = (link.to_owned(), found.into());
        self.0.push(Finding { link, status, found, mend });
    }
}
