//! What our sessions are called at MAS, and how they are known again.

use std::fmt;

use crate::random::{RandomError, new_mark};

/// Before the mark of a session that a login opened.
const LOGIN: &str = "vault-login-";

/// Before the mark of a session whose token is kept for a program that cannot log in.
const KEPT: &str = "vault-kept-";

/// Most characters of what a session is called before its mark.
const LONGEST_LABEL: usize = 100;

/// The `human_name` of a session of ours: what people call it, and at its end a mark.
///
/// The mark is random, and so tells the session of one attempt from all others. What stands before
/// it says whether later logins may end the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionName {
    label: String,
    purpose: SessionPurpose,
    mark: String,
}

/// What a session of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPurpose {
    /// Opened by a login. A later login ends it on the same device, or when it has expired.
    Login,
    /// Its token is kept for a program that cannot log in. No login ends it.
    Kept,
}

impl SessionName {
    /// A name with another mark than any before.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn new(label: &str, purpose: SessionPurpose) -> Result<Self, RandomError> {
        Ok(Self { label: Self::readable(label), purpose, mark: new_mark()? })
    }

    /// What the session is for that has this `human_name`; `None` if it has no mark of ours.
    #[must_use]
    pub fn purpose_of(human_name: &str) -> Option<SessionPurpose> {
        let (_, last) = human_name.rsplit_once(' ').unwrap_or(("", human_name));
        if last.starts_with(LOGIN) {
            Some(SessionPurpose::Login)
        } else if last.starts_with(KEPT) {
            Some(SessionPurpose::Kept)
        } else {
            None
        }
    }

    /// Whether a `human_name` ends in the mark of this name.
    #[must_use]
    pub fn marks(&self, human_name: &str) -> bool {
        human_name.ends_with(&self.mark)
    }

    /// What people call the session.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What a client calls itself, fit for a name: at most a hundred characters, without those that
    /// control something.
    #[must_use]
    pub fn readable(label: &str) -> String {
        let readable = label.chars().filter(|character| !character.is_control());
        readable.take(LONGEST_LABEL).collect::<String>().trim().to_owned()
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.purpose {
            SessionPurpose::Login => LOGIN,
            SessionPurpose::Kept => KEPT,
        };
        let space = if self.label.is_empty() { "" } else { " " };
        write!(f, "{}{space}{prefix}{}", self.label, self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(label: &str, purpose: SessionPurpose) -> SessionName {
        SessionName::new(label, purpose).unwrap()
    }

    #[test]
    fn a_name_ends_in_a_mark_of_its_own() {
        let (one, two) = (name("Bot", SessionPurpose::Login), name("Bot", SessionPurpose::Login));
        assert!(one.to_string().starts_with("Bot vault-login-"));
        assert!(one.marks(&one.to_string()) && !one.marks(&two.to_string()));
        assert_eq!(SessionName::purpose_of(&one.to_string()), Some(SessionPurpose::Login));
        assert_eq!(SessionName::purpose_of("Bot"), None);
    }

    #[test]
    fn no_label_makes_a_session_one_that_is_kept() {
        let kept = name("", SessionPurpose::Kept).to_string();
        assert_eq!(SessionName::purpose_of(&kept), Some(SessionPurpose::Kept));
        let forged = name(&kept, SessionPurpose::Login).to_string();
        assert_eq!(SessionName::purpose_of(&forged), Some(SessionPurpose::Login));
    }

    #[test]
    fn labels_are_short_and_control_nothing() {
        assert_eq!(name("a\u{1b}[31m\0\n b\u{85}", SessionPurpose::Login).label(), "a[31m b");
        assert_eq!(name(&"é".repeat(999), SessionPurpose::Login).label(), "é".repeat(100));
    }
}
