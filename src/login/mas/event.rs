//! What comes of logins under MAS.

use std::time::Duration;

use crate::homeserver::AccessToken;
use crate::homeserver::mas::{PassedOn, Ulid};
use crate::login::outcome::{Code, Outcome};

/// What comes of something that was begun under MAS.
pub enum MasEvent {
    /// Of opening a session, or of registering a user.
    Opened(OpenResult),
    /// Of logging out.
    LoggedOut(LogoutResult),
    /// Of passing a request on.
    PassedOn(PassedOnResult),
}

/// How a login ended.
#[derive(Debug)]
pub struct OpenResult {
    /// How it ended, for the log and the metrics.
    pub outcome: Outcome,
    /// The session, if there is one.
    pub session: Option<OpenedSession>,
    /// What the client did wrong, if it may know.
    pub client_error: Option<ClientError>,
}

/// What a client did wrong, as it may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// The error code of Matrix.
    pub errcode: &'static str,
    /// The same in words.
    pub message: String,
}

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// By what it is known from now on.
    pub access_token: AccessToken,
    /// Its device.
    pub device_id: String,
    /// What the device is to be called, if it is new and is to be called something.
    pub device_display_name: Option<String>,
    /// How long the token works; `None` if it has no end.
    pub expires_in: Option<Duration>,
    /// Its id at MAS.
    pub(super) id: Ulid,
    /// Whether the user had the device before.
    pub(super) is_device_known: bool,
}

/// What came of logging out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutResult {
    /// The sessions have ended.
    Done,
    /// The token is that of a session that was not opened here.
    NotOurs,
    /// It is no token, or no longer works.
    UnknownToken,
    /// MAS does not answer, for this reason.
    Unavailable(String),
}

/// MAS' answer, or why there is none.
pub type PassedOnResult = Result<PassedOn, String>;

impl OpenResult {
    /// A login that ended without a session.
    #[must_use]
    pub fn without_session(outcome: Outcome) -> Self {
        Self { outcome, session: None, client_error: None }
    }

    /// A login whose request is not of the form that it must have.
    #[must_use]
    pub fn bad_request(outcome: &Outcome, errcode: &'static str, message: String) -> Self {
        let outcome = outcome.becoming(Code::BadRequest, message.clone());
        let client_error = Some(ClientError { errcode, message });
        Self { outcome, session: None, client_error }
    }
}
