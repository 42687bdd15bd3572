//! Sessions whose end the homeserver has not confirmed.

use serde::{Deserialize, Serialize};

use super::session::HeldSession;
use super::store::{Store, Stored};
use crate::logical::LogicalError;

/// A session whose end the homeserver has not confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingSession {
    /// The session.
    #[serde(flatten)]
    pub session: HeldSession,
    /// Since when it should have ended, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why its end is not confirmed.
    pub reason: String,
}

impl Stored for PendingSession {
    const PREFIX: &'static str = "pending/";
    const VERSION: u32 = 1;
    const IS_SECRET: bool = true;
}

impl Store {
    /// A session that should have ended.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn pending(&self, id: &str) -> Result<Option<PendingSession>, LogicalError> {
        self.read(id).await
    }

    /// A session should have ended.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn put_pending(
        &self,
        id: &str,
        session: &PendingSession,
    ) -> Result<(), LogicalError> {
        self.write(id, session).await
    }

    /// A session has ended, or is given up.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete_pending(&self, id: &str) -> Result<(), LogicalError> {
        self.delete::<PendingSession>(id).await
    }

    /// The ids of all sessions that should have ended, sorted.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn all_pending(&self) -> Result<Vec<String>, LogicalError> {
        self.names::<PendingSession>().await
    }
}
