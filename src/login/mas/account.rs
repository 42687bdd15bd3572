//! Which accounts at MAS may log in.

use crate::homeserver::mas::User;
use crate::login::outcome::{Code, Outcome};

/// Why an account may not log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRefusal {
    /// There is none.
    Unknown,
    /// It is closed.
    Deactivated,
    /// It is locked.
    Locked,
}

/// The account that was found, if it may log in.
///
/// # Errors
/// Why it may not.
pub fn usable(found: Option<User>) -> Result<User, AccountRefusal> {
    let user = found.ok_or(AccountRefusal::Unknown)?;
    if user.is_deactivated {
        return Err(AccountRefusal::Deactivated);
    }
    if user.is_locked { Err(AccountRefusal::Locked) } else { Ok(user) }
}

impl AccountRefusal {
    /// What becomes of a login.
    pub fn outcome(self, login: &Outcome) -> Outcome {
        let (code, what) = match self {
            Self::Unknown => (Code::UnknownUser, "does not have the user"),
            Self::Deactivated => (Code::UserDeactivated, "has deactivated the account"),
            Self::Locked => (Code::UserLocked, "has locked the account"),
        };
        let reason = format!("the token hash is right, and Matrix Authentication Service {what}");
        login.becoming(code, reason)
    }
}
