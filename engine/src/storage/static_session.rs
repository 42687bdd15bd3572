//! The one session of a user that stays.

use serde::{Deserialize, Serialize};

use super::session::HeldSession;
use super::store::{Store, Stored};
use crate::logical::LogicalError;

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct StaticSession(HeldSession);

impl Stored for StaticSession {
    const PREFIX: &'static str = "static/";
    const VERSION: u32 = 1;
    const IS_SECRET: bool = true;
}

impl Store {
    /// The session of a user that stays, by the whole id.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn static_session(&self, user_id: &str) -> Result<Option<HeldSession>, LogicalError> {
        Ok(self.read::<StaticSession>(user_id).await?.map(|StaticSession(session)| session))
    }

    /// A user has another session that stays.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn put_static_session(&self, session: HeldSession) -> Result<(), LogicalError> {
        let user_id = session.user_id.clone();
        self.write(&user_id, &StaticSession(session)).await
    }

    /// The session of a user that stayed has ended.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete_static_session(&self, user_id: &str) -> Result<(), LogicalError> {
        self.delete::<StaticSession>(user_id).await
    }

    /// The ids of all users with a session that stays, sorted.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn static_users(&self) -> Result<Vec<String>, LogicalError> {
        self.names::<StaticSession>().await
    }
}
