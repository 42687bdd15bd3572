//! Reads and writes what has a version.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::key;
use crate::logical::{LogicalError, Storage, StorageEntry};

/// What a mount keeps.
#[derive(Clone)]
pub struct Store(Arc<dyn Storage>);

/// What is kept under keys of one prefix.
pub trait Stored: Serialize + DeserializeOwned {
    /// What the keys begin with, a slash at the end.
    const PREFIX: &'static str;

    /// The version that we write, and the newest that we read.
    const VERSION: u32;

    /// Whether it holds secrets.
    const IS_SECRET: bool;
}

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    #[serde(flatten)]
    value: &'a T,
}

#[derive(Deserialize)]
struct WrittenVersion {
    version: u32,
}

impl Store {
    /// What the host keeps for a mount.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self(storage)
    }

    /// Reads what is kept under a name.
    ///
    /// # Errors
    /// When storage fails, or holds what this version does not understand.
    pub(super) async fn read<T: Stored>(&self, name: &str) -> Result<Option<T>, LogicalError> {
        match self.0.get(&key_of::<T>(name)).await? {
            None => Ok(None),
            Some(value) => parse(&value).map(Some),
        }
    }

    /// Keeps something under a name.
    ///
    /// # Errors
    /// When storage fails; on a standby it does.
    pub(super) async fn write<T: Stored>(&self, name: &str, value: &T) -> Result<(), LogicalError> {
        let written = Written { version: T::VERSION, value };
        // Nothing that we write has keys that JSON does not take.
        let value = serde_json::to_vec(&written)
            .map_err(|_| LogicalError::status(500, "cannot write an entry as JSON"))?;
        let entry = StorageEntry { key: key_of::<T>(name), value, seal_wrap: T::IS_SECRET };
        Ok(self.0.put(entry).await?)
    }

    /// Forgets what is kept under a name.
    ///
    /// # Errors
    /// When storage fails; on a standby it does.
    pub(super) async fn delete<T: Stored>(&self, name: &str) -> Result<(), LogicalError> {
        Ok(self.0.delete(&key_of::<T>(name)).await?)
    }

    /// The names under which something is kept, sorted.
    ///
    /// # Errors
    /// When storage fails.
    pub(super) async fn names<T: Stored>(&self) -> Result<Vec<String>, LogicalError> {
        let keys = self.0.list(T::PREFIX).await?;
        let mut names: Vec<String> = keys.iter().filter_map(|part| key::decode(part)).collect();
        names.sort_unstable();
        Ok(names)
    }
}

fn key_of<T: Stored>(name: &str) -> String {
    format!("{}{}", T::PREFIX, key::encode(name))
}

/// What serde has against an entry may repeat it, secrets and all.
fn parse<T: Stored>(value: &[u8]) -> Result<T, LogicalError> {
    let what = T::PREFIX;
    let unreadable =
        || LogicalError::status(500, format!("an entry below {what} in storage is unreadable"));
    let WrittenVersion { version } = serde_json::from_slice(value).map_err(|_| unreadable())?;
    if version > T::VERSION {
        return Err(LogicalError::status(
            500,
            format!(
                "an entry below {what} in storage is of version {version}, written by a newer \
                 plugin; this one knows versions up to {}",
                T::VERSION
            ),
        ));
    }
    serde_json::from_slice(value).map_err(|_| unreadable())
}

/// Writes a secret.
pub fn serialize_secret<S: Serializer>(
    secret: &SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Writes a secret that may be missing.
#[expect(clippy::ref_option, reason = "as serde calls it")]
pub fn serialize_optional_secret<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}
