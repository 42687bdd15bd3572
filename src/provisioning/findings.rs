//! What the checks of `doctor` find.

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// Whether it is as it must be.
    pub status: Status,
    /// What was found there.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is as it must be.
    Ok,
    /// Logins work, and something should be changed.
    Warning,
    /// It keeps logins from working.
    Failed,
    /// It was not looked at, as an earlier check failed.
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
    pub fn ok(&mut self, check: &str, detail: impl Into<String>) {
        self.add(check, Status::Ok, detail, None);
    }

    pub fn warning(&mut self, check: &str, detail: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Status::Warning, detail, Some(advice.into()));
    }

    pub fn failed(&mut self, check: &str, detail: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Status::Failed, detail, Some(advice.into()));
    }

    pub fn skipped(&mut self, check: &str, why: impl Into<String>) {
        self.add(check, Status::Skipped, why, None);
    }

    pub fn skip_all<const N: usize>(&mut self, checks: [&str; N], why: &str) {
        for check in checks {
            self.skipped(check, why);
        }
    }

    fn add(
        &mut self,
        check: &str,
        status: Status,
        detail: impl Into<String>,
        advice: Option<String>,
    ) {
        let (check, detail) = (check.to_owned(), detail.into());
        // What to do is said once, at the first check that shows the need for it.
        let advice =
            advice.filter(|new| !self.0.iter().any(|one| one.advice.as_ref() == Some(new)));
        self.0.push(Finding { check, status, detail, advice });
    }
}
