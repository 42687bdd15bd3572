//! What a mount knows while it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::timeout;

use super::attempts::Attempts;
use super::homeservers::Homeservers;
use super::locks::Locks;
use super::sessions::UnderWay;
use crate::logical::{Host, LogicalError};
use crate::storage::Store;

/// How long a mount that goes waits for what is under way.
const CLOSE_TIME: Duration = Duration::from_millis(500);

/// What a mount knows while it runs.
pub struct Mount {
    /// The host.
    pub host: Host,
    /// What the host keeps for the mount.
    pub store: Store,
    /// Connections to homeservers.
    pub homeservers: Homeservers,
    /// What must not happen to one user at once.
    pub users: Locks,
    /// Whose session that stays is being opened or ended, each alone.
    pub static_users: Locks,
    /// Which homeserver's configuration is being changed.
    pub servers: Locks,
    /// The logins and changes that are under way.
    pub under_way: UnderWay,
    /// When sessions whose end is not confirmed are tried next.
    pub attempts: Attempts,
    /// Whether a tick is at work.
    pub is_ticking: AtomicBool,
}

impl Mount {
    /// A mount that has done nothing yet.
    #[must_use]
    pub fn new(host: Host) -> Arc<Self> {
        Arc::new(Self {
            store: Store::new(Arc::clone(&host.storage)),
            homeservers: Homeservers::new(host.notices.clone()),
            users: Locks::new("logins of the user are under way"),
            static_users: Locks::new("the session is being opened or ended"),
            servers: Locks::new("the homeserver is being changed"),
            under_way: UnderWay::default(),
            attempts: Attempts::default(),
            is_ticking: AtomicBool::new(false),
            host,
        })
    }

    /// Refuses what only the active node of a cluster can do, in the words by which a standby
    /// forwards it.
    ///
    /// # Errors
    /// On a standby.
    pub async fn check_active(&self) -> Result<(), LogicalError> {
        if self.host.system.replication_state().await?.is_standby() {
            return Err(LogicalError::read_only());
        }
        Ok(())
    }

    /// The same for what is written to storage that the primary cluster replicates to others.
    ///
    /// # Errors
    /// On a standby, and on a secondary cluster.
    pub async fn check_primary(&self) -> Result<(), LogicalError> {
        let state = self.host.system.replication_state().await?;
        if state.is_standby() || state.is_performance_secondary() {
            return Err(LogicalError::read_only());
        }
        Ok(())
    }

    /// Gives what is under way a moment to end. What is left of logins the tick ends, once the mount
    /// is there again: the host answers nobody while it waits for this.
    pub async fn close(&self) {
        let _ = timeout(CLOSE_TIME, self.under_way.finish()).await;
    }
}
