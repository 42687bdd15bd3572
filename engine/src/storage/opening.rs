//! Logins, from before they are made until their session has ended.

use serde::{Deserialize, Serialize};

use super::homeserver_config::HomeserverAddress;
use super::session::HeldSession;
use super::store::{Store, Stored};
use crate::logical::LogicalError;

/// What a login is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A session with a lease.
    Lease,
    /// The session that stays.
    Static,
}

/// A login: written before it is made, so that whatever becomes of us its session can be ended. It
/// holds no token: a login on the same device gives another that ends both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The user.
    pub user_id: String,
    /// The device.
    pub device_id: String,
    /// Where the homeserver answered.
    #[serde(flatten)]
    pub homeserver: HomeserverAddress,
    /// What it is made for.
    pub purpose: Purpose,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
}

impl Opening {
    /// The session, to be ended without its token.
    #[must_use]
    pub fn session(&self) -> HeldSession {
        HeldSession {
            user_id: self.user_id.clone(),
            device_id: self.device_id.clone(),
            homeserver: self.homeserver.clone(),
            access_token: None,
            endpoint: None,
        }
    }
}

/// A session that was answered, by the key it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// Its id.
    pub id: String,
    /// When it ends at the latest, in seconds since 1970.
    pub end: u64,
}

impl OpenSession {
    /// Ends come first, so that a list alone tells what has passed.
    fn name(&self) -> String {
        format!("{:012x}.{}", self.end, self.id)
    }

    fn parse(name: &str) -> Option<Self> {
        let (end, id) = name.split_once('.')?;
        Some(Self { end: u64::from_str_radix(end, 16).ok()?, id: id.to_owned() })
    }
}

/// An [`Opening`] whose session was answered.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Answered(Opening);

impl Stored for Opening {
    const PREFIX: &'static str = "opening/";
    const VERSION: u32 = 1;
    const IS_SECRET: bool = false;
}

impl Stored for Answered {
    const PREFIX: &'static str = "open/";
    const VERSION: u32 = 1;
    const IS_SECRET: bool = false;
}

impl Store {
    /// A login is about to be made.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn put_opening(&self, id: &str, opening: &Opening) -> Result<(), LogicalError> {
        self.write(id, opening).await
    }

    /// A login that was begun.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn opening(&self, id: &str) -> Result<Option<Opening>, LogicalError> {
        self.read(id).await
    }

    /// Nothing of a login is left to be ended, or it is kept otherwise.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete_opening(&self, id: &str) -> Result<(), LogicalError> {
        self.delete::<Opening>(id).await
    }

    /// The ids of all logins that were begun.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn openings(&self) -> Result<Vec<String>, LogicalError> {
        self.names::<Opening>().await
    }

    /// The session of a login is about to be answered.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn put_open(
        &self,
        session: &OpenSession,
        opening: Opening,
    ) -> Result<(), LogicalError> {
        self.write(&session.name(), &Answered(opening)).await
    }

    /// A session that was answered.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn open(&self, session: &OpenSession) -> Result<Option<Opening>, LogicalError> {
        Ok(self.read::<Answered>(&session.name()).await?.map(|Answered(opening)| opening))
    }

    /// A session has ended.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete_open(&self, session: &OpenSession) -> Result<(), LogicalError> {
        self.delete::<Answered>(&session.name()).await
    }

    /// All sessions that were answered and are not known to have ended, the earliest end first.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn open_sessions(&self) -> Result<Vec<OpenSession>, LogicalError> {
        let names = self.names::<Answered>().await?;
        Ok(names.iter().filter_map(|name| OpenSession::parse(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::*;

    #[test]
    fn the_earliest_end_comes_first() {
        let session = |end| OpenSession { id: "A.B_-".to_owned(), end };
        let names: Vec<_> = [0, 9, 255, 1 << 40].map(|end| session(end).name()).into();
        assert!(names.is_sorted());
        assert_eq!(OpenSession::parse(&names[2]), Some(session(255)));
        assert_eq!(key::decode(&key::encode(&names[2])).as_ref(), Some(&names[2]));
        assert_eq!(OpenSession::parse("x.y"), None);
        assert_eq!(OpenSession::parse("00"), None);
    }
}
