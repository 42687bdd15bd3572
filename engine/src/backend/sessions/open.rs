//! Opens a session.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use synapse_vault_auth_provider_core::homeserver::{HomeserverError, LoginEndpoint, Session};
use synapse_vault_auth_provider_core::random::{new_device_id, new_secret};
use synapse_vault_auth_provider_core::retry::{Deadline, Transient};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout_at};

use super::end::{Ending, end_by};
use super::log_in::log_in;
use crate::backend::Mount;
use crate::backend::clock::now_ms;
use crate::backend::failure::of_homeserver;
use crate::backend::homeserver_client::{HomeserverClient, Slot};
use crate::backend::locks::Exclusive;
use crate::backend::names::User;
use crate::backend::ttl::{LeaseTimes, Limits};
use crate::logical::LogicalError;
use crate::storage::{HeldSession, HomeserverConfig, OpenSession, Opening, Purpose, UserConfig};

/// How long after a change of the secret the homeserver may still go by the one before.
const CHANGE_IS_NEW: Duration = Duration::from_secs(15);

/// How long a login waits before it is tried once more after a change of the secret.
const SECOND_TRY: Duration = Duration::from_millis(500);

/// A session that was opened.
pub struct Opened {
    /// The session itself, with its token.
    pub session: HeldSession,
    /// How long its lease lasts.
    pub times: LeaseTimes,
    /// When the lease was issued, in milliseconds since 1970.
    pub issued_ms: u64,
    /// By which key it is written down.
    pub open: OpenSession,
}

/// What is needed to end a session that was opened.
struct Undoing {
    session: HeldSession,
    open: OpenSession,
}

impl Opened {
    fn undoing(&self) -> Undoing {
        Undoing { session: self.session.clone(), open: self.open.clone() }
    }
}

/// Opens a session of a user, until the deadline, or within the time that the homeserver has for a
/// request.
///
/// The work goes on when nobody waits for it any more: it is undone then, but for the session that
/// stays. What keeps others from opening that one is held until the work has ended.
///
/// # Errors
/// 400 when something is not configured or the homeserver refuses, 429 for its limits, and 503 when
/// it does not answer.
pub async fn open(
    mount: &Arc<Mount>,
    user: &User,
    purpose: Purpose,
    held: Option<(Exclusive, Deadline)>,
) -> Result<Opened, LogicalError> {
    let system = &mount.host.system;
    let (homeserver, ttl, max_ttl) = tokio::join!(
        mount.store.homeserver(&user.server),
        system.default_lease_ttl(),
        system.max_lease_ttl(),
    );
    let homeserver = homeserver?.ok_or_else(|| {
        let server = &user.server;
        LogicalError::status(
            400,
            format!("the homeserver is not configured: write config/homeserver/{server}"),
        )
    })?;
    let mount_limits = Limits { ttl: Some(ttl?), max_ttl: Some(max_ttl?) };
    let (one_at_a_time, deadline) = held.unzip();
    let deadline = deadline.unwrap_or_else(|| Deadline::after(homeserver.request_timeout()));
    let (sender, receiver) = oneshot::channel();
    let work = Work {
        mount: Arc::clone(mount),
        client: mount.homeservers.client(&homeserver).await?,
        user: user.clone(),
        homeserver,
        mount_limits,
        purpose,
        deadline,
        _one_at_a_time: one_at_a_time,
    };
    tokio::spawn(work.run(sender));
    match timeout_at(deadline.at(), receiver).await {
        Ok(Ok((result, taken))) => {
            // Whoever waits for it has gone only if the work has ended.
            let _ = taken.send(());
            result
        }
        Ok(Err(_)) => Err(LogicalError::status(503, "the plugin is ending")),
        Err(_) => {
            let limit = deadline.limit();
            let message = format!("cannot log {} in: there is no answer within {limit:?}", user.id);
            Err(LogicalError::status(503, message))
        }
    }
}

/// The work of opening one session.
struct Work {
    mount: Arc<Mount>,
    client: Arc<HomeserverClient>,
    user: User,
    homeserver: HomeserverConfig,
    mount_limits: Limits,
    purpose: Purpose,
    deadline: Deadline,
    _one_at_a_time: Option<Exclusive>,
}

/// The end of a login, and where to say that it was heard of: a call may go in between.
type Answer = (Result<Opened, LogicalError>, oneshot::Sender<()>);

impl Work {
    async fn run(self, asker: oneshot::Sender<Answer>) {
        let id = match new_secret() {
            Ok(id) => id.expose_secret().to_owned(),
            Err(error) => {
                let error = LogicalError::status(500, error.to_string());
                // Nobody waits only if it does not matter.
                let _ = asker.send((Err(error), oneshot::channel().0));
                return;
            }
        };
        let under_way = self.mount.under_way.begin(&id);
        let result = self.open(&id, || !asker.is_closed()).await;
        let undoing = result.as_ref().ok().map(Opened::undoing);
        let (taken, is_taken) = oneshot::channel();
        let is_heard = match asker.send((result, taken)) {
            Ok(()) => is_taken.await.is_ok(),
            Err(_) => false,
        };
        // What is not open is either gone by now, or the tick's to end.
        let Some(opened) = undoing else { return };
        if is_heard || self.purpose == Purpose::Static {
            if self.mount.store.delete_opening(&id).await.is_err() {
                under_way.was_answered();
            }
        } else {
            self.undo(&id, &opened).await;
        }
    }

    async fn open(&self, id: &str, is_wanted: impl Fn() -> bool) -> Result<Opened, LogicalError> {
        let _login_under_way = self.mount.users.log_in(&self.user.id, self.deadline).await?;
        let slot =
            self.client.slot(self.deadline).await.filter(|_| is_wanted()).ok_or_else(|| {
                LogicalError::status(503, "nobody waits for the session any more")
            })?;
        // A session that is opened late can still be ended by its token.
        let slot = slot.until(self.client.time_for_a_request());
        let user = self.user_config().await?;
        let opening = Opening {
            user_id: self.user.id.clone(),
            device_id: new_device_id()
                .map_err(|error| LogicalError::status(500, error.to_string()))?,
            homeserver: self.homeserver.address.clone(),
            purpose: self.purpose,
            began_ms: now_ms(),
        };
        self.mount.store.put_opening(id, &opening).await?;
        let (session, endpoint, user) = self.log_in(id, &slot, &opening, user).await?;
        // A logout waits for a slot of its own.
        drop(slot);
        self.write_down(id, opening, session, endpoint, &user).await
    }

    /// Logs in. The secret may have changed a moment ago, and the homeserver go by the one before.
    async fn log_in(
        &self,
        id: &str,
        slot: &Slot<'_>,
        opening: &Opening,
        mut user: UserConfig,
    ) -> Result<(Session, LoginEndpoint, UserConfig), LogicalError> {
        let device_id = &opening.device_id;
        let mut result = log_in(slot, &self.user.id, &user, device_id).await;
        let since = Duration::from_millis(now_ms().saturating_sub(user.secret_changed_ms));
        if result.as_ref().is_err_and(|error| error.status() == Some(403)) && since < CHANGE_IS_NEW
        {
            sleep(SECOND_TRY).await;
            user = self.user_config().await?;
            result = log_in(slot, &self.user.id, &user, device_id).await;
        }
        match result {
            Ok((session, endpoint)) => Ok((session, endpoint, user)),
            Err(error) => {
                if is_certainly_not_open(&error) {
                    self.mount.store.delete_opening(id).await?;
                }
                Err(of_homeserver(&format!("log {} in", self.user.id), &error))
            }
        }
    }

    async fn write_down(
        &self,
        id: &str,
        opening: Opening,
        session: Session,
        endpoint: LoginEndpoint,
        user: &UserConfig,
    ) -> Result<Opened, LogicalError> {
        let issued_ms = now_ms();
        let limits = [user.ttls.into(), self.homeserver.ttls.into(), self.mount_limits];
        let times = LeaseTimes::of(&limits, session.expires_in);
        let end = (issued_ms / 1000).saturating_add(times.max_ttl.as_secs()).saturating_add(1);
        let open = OpenSession { id: id.to_owned(), end };
        let is_asked_for =
            session.user_id == opening.user_id && session.device_id == opening.device_id;
        let held = HeldSession {
            access_token: Some(session.access_token.secret().clone()),
            endpoint: Some(endpoint),
            ..opening.session()
        };
        let opened = Opened { session: held, times, issued_ms, open };
        let written = match self.purpose {
            _ if !is_asked_for => {
                let message = "the homeserver opened a session of another user or device";
                Err(LogicalError::status(503, message))
            }
            Purpose::Lease => self.mount.store.put_open(&opened.open, opening).await,
            Purpose::Static => self.mount.store.put_static_session(opened.session.clone()).await,
        };
        match written {
            Ok(()) => Ok(opened),
            Err(error) => {
                self.undo(id, &opened.undoing()).await;
                Err(error)
            }
        }
    }

    /// Ends a session that nobody will hear of. What fails here the tick finds.
    async fn undo(&self, id: &str, undoing: &Undoing) {
        let store = &self.mount.store;
        let is_unmarked = store.delete_open(&undoing.open).await.is_ok();
        let ending = end_by(&self.mount, &self.client, &undoing.session, None).await;
        if is_unmarked && ending == Ending::Confirmed {
            let _ = store.delete_opening(id).await;
        }
    }

    async fn user_config(&self) -> Result<UserConfig, LogicalError> {
        let user = self.mount.store.user(&self.user.id).await?;
        user.ok_or_else(|| not_configured(&self.user))
    }
}

/// The error of a user of whom nothing is known.
#[must_use]
pub fn not_configured(user: &User) -> LogicalError {
    let localpart = user.id.trim_start_matches('@').split(':').next().unwrap_or_default();
    let path = format!("config/user/{localpart}/{}", user.server);
    LogicalError::status(400, format!("the user is not configured: write {path}"))
}

/// Whether a login that failed so has opened no session.
fn is_certainly_not_open(error: &HomeserverError) -> bool {
    !error.may_have_applied() || error.is_unconnected()
}
