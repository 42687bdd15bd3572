//! Sessions under way.

use std::sync::Arc;

use secrecy::SecretString;

use super::config::MasConfig;
use super::event::{LogoutResult, OpenResult, OpenedSession, PassedOnResult};
use crate::homeserver::mas::{MasClient, PassedRequest};
use crate::login::outcome::{Code, Outcome};
use crate::retry::Deadline;
use crate::user_id::UserId;

/// A session that is to be opened.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    /// Whose, by the canonical id.
    pub user_id: UserId,
    /// How the login was decided.
    pub outcome: Outcome,
    /// What the client asks for.
    pub wishes: SessionWishes,
}

/// What a client asks for with its login beside being let in.
#[derive(Clone, Debug, Default)]
pub struct SessionWishes {
    /// The device to log in.
    pub device_id: Option<String>,
    /// Whether the homeserver knows that device of the user.
    pub is_device_known: bool,
    /// What the device is to be called.
    pub display_name: Option<String>,
}

/// Opens and ends sessions at MAS.
pub struct MasLogins {
    client: Arc<MasClient>,
    config: MasConfig,
}

impl MasLogins {
    /// Opens no session yet.
    #[must_use]
    pub fn new(client: Arc<MasClient>, config: MasConfig) -> Self {
        Self { client, config }
    }

    /// The requests' way to MAS.
    #[must_use]
    pub fn client(&self) -> &MasClient {
        &self.client
    }

    /// Opens a session.
    pub async fn open(
        self: &Arc<Self>,
        _number: u64,
        request: SessionRequest,
        _deadline: Deadline,
    ) -> OpenResult {
        let _ = &self.config;
        let outcome = request.outcome.becoming(Code::MasUnavailable, "not there yet");
        OpenResult::without_session(outcome)
    }

    /// Registers a user.
    pub async fn register(
        self: &Arc<Self>,
        _user_id: UserId,
        outcome: Outcome,
        _deadline: Deadline,
    ) -> OpenResult {
        let outcome = outcome.becoming(Code::MasUnavailable, "not there yet");
        OpenResult::without_session(outcome)
    }

    /// Ends sessions that were opened here.
    pub async fn log_out(
        self: &Arc<Self>,
        _token: &SecretString,
        _all: bool,
        _deadline: Deadline,
    ) -> LogoutResult {
        LogoutResult::Unavailable("not there yet".to_owned())
    }

    /// Passes a request on.
    pub async fn pass_on(&self, request: PassedRequest) -> PassedOnResult {
        self.client.pass_on(request).await.map_err(|error| error.to_string())
    }

    /// Ends a session whose token nobody has.
    pub async fn abandon(&self, _number: u64, _session: Option<OpenedSession>) {}
}
