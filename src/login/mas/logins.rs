//! What is done at MAS for logins, and what is under way there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::config::MasConfig;
use super::event::OpenedSession;
use super::failure::Failure;
use super::lost::LostSessions;
use super::turns::Turns;
use crate::homeserver::mas::{MasClient, Ulid};
use crate::login::outcome::Outcome;
use crate::notice::{Notices, Throttle};
use crate::retry::{Backoff, Deadline, retry};
use crate::sync::Mutex;
use crate::user_id::UserId;

/// How often the log says that a session could not be ended.
const NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// How long it is tried to end a session that nobody wants any more.
const ENDING_TIME: Duration = Duration::from_secs(60);

/// A session that is to be opened.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    /// Whose, by the canonical id.
    pub user_id: UserId,
    /// How the login was decided.
    pub outcome: Outcome,
    /// What the client asks for.
    pub wishes: SessionWishes,
    /// The time that is left of `login_timeout`.
    pub deadline: Deadline,
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

/// MAS as the logins use it, and what is under way there.
pub struct MasLogins {
    /// The requests' way to MAS.
    pub client: Arc<MasClient>,
    /// How sessions are opened.
    pub config: MasConfig,
    /// Whose turn it is.
    pub turns: Turns,
    /// What lost answers may have left.
    pub lost: LostSessions,
    /// The logins under way whose clients have gone.
    abandoned: Mutex<HashSet<u64>>,
    under_way: Mutex<HashSet<u64>>,
    throttle: Throttle,
    notices: Notices,
}

/// A login under way, until it is dropped.
pub struct UnderWay<'a> {
    logins: &'a MasLogins,
    number: u64,
}

impl MasLogins {
    /// Opens no session yet.
    #[must_use]
    pub fn new(client: Arc<MasClient>, config: MasConfig, notices: Notices) -> Self {
        Self {
            lost: LostSessions::new(Arc::clone(&client), notices.clone()),
            client,
            config,
            turns: Turns::new(),
            abandoned: Mutex::default(),
            under_way: Mutex::default(),
            throttle: Throttle::new(NOTICE_INTERVAL),
            notices,
        }
    }

    /// How long a session's token works, in seconds.
    pub fn expires_in(&self) -> Option<u32> {
        let seconds = self.config.session_lifetime?.as_secs();
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Begins a login.
    pub fn begin(&self, number: u64) -> UnderWay<'_> {
        self.under_way.lock().insert(number);
        UnderWay { logins: self, number }
    }

    /// Whether the client of a login has gone.
    pub fn is_abandoned(&self, number: u64) -> bool {
        self.abandoned.lock().contains(&number)
    }

    /// Ends a session that its client will never know of, unless its device was there before.
    pub fn abandon(self: &Arc<Self>, number: u64, session: Option<OpenedSession>) {
        match session {
            Some(session) if !session.is_device_known => self.end_in_background(vec![session.id]),
            Some(_) => {}
            None => {
                if self.under_way.lock().contains(&number) {
                    self.abandoned.lock().insert(number);
                }
            }
        }
    }

    /// Ends sessions that nobody wants any more, one after the other.
    pub fn end_in_background(self: &Arc<Self>, ids: Vec<Ulid>) {
        let logins = Arc::clone(self);
        tokio::spawn(async move {
            for id in ids {
                let deadline = Deadline::after(ENDING_TIME);
                let revoke = || logins.client.revoke_personal_session(&id);
                if let Err(error) = retry(deadline, backoff(), revoke).await {
                    logins.say_that_a_session_stays(&error.into());
                }
            }
        });
    }

    /// Says that a session goes on that should have ended, unless it was said a short while ago.
    pub fn say_that_a_session_stays(&self, failure: &Failure) {
        self.throttle.say(Some(failure.reason()), |reason| {
            self.notices.warning(format!(
                "A session that should have ended at Matrix Authentication Service goes on: {reason}"
            ));
        });
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.logins.under_way.lock().remove(&self.number);
        self.logins.abandoned.lock().remove(&self.number);
    }
}

/// The waits between requests to MAS.
pub fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(2))
}
