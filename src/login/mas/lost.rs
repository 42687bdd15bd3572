//! Sessions that may have been opened although there was no answer: nobody has their token.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::homeserver::mas::{
    CreatedSession, DeviceId, MasClient, MasError, PersonalSessionFilter, SessionName, Ulid,
};
use crate::notice::Notices;
use crate::retry::Backoff;

/// For how long a session may appear after its answer was lost: something between us and MAS may
/// have kept the request.
const MAY_APPEAR_FOR: Duration = Duration::from_secs(120);

/// For how long it is looked for while MAS does not answer.
const LOOKED_FOR_FOR: Duration = Duration::from_secs(3600);

/// How many are looked for at the same time.
const AT_ONCE: usize = 256;

/// An attempt under way.
pub type Creating = JoinHandle<Result<CreatedSession, MasError>>;

/// Looks for sessions whose answer was lost, and ends them.
#[derive(Clone)]
pub struct LostSessions {
    client: Arc<MasClient>,
    notices: Notices,
    looking: Arc<Semaphore>,
}

/// What a lost answer may have left.
#[derive(Debug)]
pub struct Lost {
    /// As whom the session acts.
    pub user: Ulid,
    /// Its device.
    pub device: DeviceId,
    /// What it is called, one name for each attempt.
    pub names: Vec<SessionName>,
}

impl LostSessions {
    /// Looks for none yet.
    pub fn new(client: Arc<MasClient>, notices: Notices) -> Self {
        Self { client, notices, looking: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The same, after the last attempt, which is still under way.
    pub fn look_for_after(&self, creating: Creating, mut lost: Lost) {
        let logins = self.clone();
        tokio::spawn(async move {
            lost.settle_last(&logins.client, creating).await;
            logins.look_for(lost);
        });
    }

    /// Looks for the sessions in the background until they have been ended, or until it is known that
    /// there are none.
    pub fn look_for(&self, lost: Lost) {
        if lost.names.is_empty() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.looking).try_acquire_owned() else {
            self.notices.error(
                "Too many sessions may have been opened at Matrix Authentication Service without an \
                 answer; some may be left that nobody has the token of",
            );
            return;
        };
        let client = Arc::clone(&self.client);
        tokio::spawn(async move {
            let _permit = permit;
            look_for(&client, lost).await;
        });
    }
}

impl Lost {
    /// Takes the last attempt off the list if it is known what came of it, and ends its session if
    /// there is one.
    async fn settle_last(&mut self, client: &MasClient, creating: Creating) {
        let is_settled = match creating.await {
            Ok(Ok(created)) => client.revoke_personal_session(&created.session.id).await.is_ok(),
            Ok(Err(error)) => !error.may_have_applied(),
            Err(_) => false,
        };
        if is_settled {
            self.names.pop();
        }
    }
}

async fn look_for(client: &MasClient, mut lost: Lost) {
    let began = Instant::now();
    let mut backoff =
        Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).with_jitter(0.5);
    while began.elapsed() < LOOKED_FOR_FOR {
        let looked_at = Instant::now();
        let is_answered = end_those_found(client, &mut lost).await.is_ok();
        let may_appear = looked_at.duration_since(began) < MAY_APPEAR_FOR;
        if lost.names.is_empty() || (is_answered && !may_appear) {
            return;
        }
        sleep(backoff.next_wait()).await;
    }
}

/// Ends the sessions of these attempts that there are now, and takes their names off the list.
pub async fn end_those_found(client: &MasClient, lost: &mut Lost) -> Result<(), MasError> {
    let on_device = PersonalSessionFilter::OnDevice(&lost.device);
    for session in client.personal_sessions(&lost.user, on_device).await? {
        let marked = lost.names.iter().position(|name| name.marks(&session.human_name));
        if let Some(place) = marked {
            client.revoke_personal_session(&session.id).await?;
            lost.names.swap_remove(place);
        }
    }
    Ok(())
}
