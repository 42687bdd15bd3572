//! What an error of MAS' means for a login.

use crate::homeserver::mas::MasError;
use crate::login::outcome::{Code, Outcome};
use crate::retry::{RetryError, Transient};

/// Why MAS has not done what a login needs.
#[derive(Debug)]
pub enum Failure {
    /// A request to MAS failed.
    Failed(MasError),
    /// The time was over. Holds the failure before, if there was one.
    TimedOut(Option<MasError>),
    /// It was not this login's turn in time.
    Overloaded,
}

impl Failure {
    /// What becomes of a login.
    pub fn outcome(&self, login: &Outcome) -> Outcome {
        let code = match self {
            Self::Failed(error) if error.status() == Some(410) => Code::UserDeactivated,
            Self::Failed(MasError::NoAnswer { .. }) | Self::TimedOut(_) => Code::MasUnavailable,
            Self::Failed(error) if error.is_transient() => Code::MasUnavailable,
            Self::Failed(_) => Code::MasRefused,
            Self::Overloaded => Code::Overloaded,
        };
        login.becoming(code, self.reason())
    }

    /// What happened, in words.
    pub fn reason(&self) -> String {
        match self {
            Self::Failed(error) => error.to_string(),
            Self::TimedOut(Some(error)) => {
                format!("{error} (and there was no time left of login_timeout)")
            }
            Self::TimedOut(None) => {
                "Matrix Authentication Service did not answer within login_timeout".to_owned()
            }
            Self::Overloaded => {
                "other sessions were being opened at Matrix Authentication Service \
                                 all the time, for this user or for as many as are opened at once"
                    .to_owned()
            }
        }
    }
}

impl From<RetryError<MasError>> for Failure {
    fn from(error: RetryError<MasError>) -> Self {
        match error {
            RetryError::Failed(error) => Self::Failed(error),
            RetryError::TimedOut(error) => Self::TimedOut(error),
        }
    }
}
