//! What Vault holds for an account: first an intent, then an entry.
//!
//! An *intent* says that an account is about to be created. It holds everything that a later call
//! needs to finish the work, should this one crash. It has no `login_secret`, so nobody can log in
//! with it. Once the account is known to be ours, an *entry* takes the place of the intent, and the
//! version with the intent is destroyed.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::error::ProvisioningError;
use super::account_id::AccountId;
use super::conflict::{missing, revoking, unfinished, unusable};
use super::creation_method::{CreatedAs, CreationAttempt, CreationMethod};
use crate::vault::{EntryVersion, LOGIN_SECRET, login_secret};

/// The field with the service's own id of the user.
const EXTERNAL_ID: &str = "external_id";

/// The field with what only provisioning needs.
const PROVISIONING: &str = "provisioning";

/// What Vault holds for an account, as provisioning sees it.
pub enum Record {
    /// Nothing, or nothing any more.
    Nothing,
    /// An account is being created, or a call that was to create it has crashed.
    Intent(Intent),
    /// A secret to log in with.
    Entry(AccountEntry),
    /// The secret was removed, and what was opened with it may not have ended yet.
    Revoking(Revocation),
    /// Something without a usable secret that provisioning did not write. Says what is wrong.
    Unusable(&'static str),
}

/// What is needed to create an account, or to finish creating it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Intent {
    /// The secret that the account is to have.
    #[serde(serialize_with = "expose")]
    pub login_secret: SecretString,
    /// The password to create the account with. Whoever can log in with it created the account.
    #[serde(serialize_with = "expose")]
    pub password: SecretString,
    /// The homeserver's clock when the intent was first written, in seconds since 1970; `None` if
    /// the homeserver did not send it.
    pub started: Option<u64>,
    /// Whether the homeserver had no account of the name either, where Matrix Authentication Service
    /// has the accounts.
    #[serde(rename = "free_at_homeserver", default, skip_serializing_if = "std::ops::Not::not")]
    pub was_free_at_homeserver: bool,
    /// The attempts to create the account: those of this call, and of earlier ones that crashed.
    #[serde(rename = "tries")]
    pub attempts: Vec<CreationAttempt>,
    /// Versions of the entry with this intent as it was before, written by earlier calls.
    #[serde(rename = "former")]
    pub earlier_versions: Vec<u32>,
    /// The service's own id of the user. It lies beside the intent, where the entry has it too.
    #[serde(skip)]
    pub external_id: Option<String>,
}

/// A secret to log in with, and what is kept beside it.
pub struct AccountEntry {
    /// The secret.
    pub login_secret: SecretString,
    /// The service's own id of the user.
    pub external_id: Option<String>,
    /// What the account was created as; `None` if others created it.
    pub created_as: Option<CreatedAs>,
    /// When the homeserver created the account that the entry is for, in seconds since 1970; `None`
    /// if it never said so.
    pub creation_ts: Option<u64>,
    /// The versions that held the intent, unless they are known to be destroyed.
    pub intent_versions: Vec<u32>,
    /// All fields, for the next version.
    fields: Map<String, Value>,
}

/// A revocation that is not finished. It takes the place of the entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// What was wanted.
    pub wanted: RevocationWanted,
    /// When the revocation began, by Vault's clock, in seconds since 1970. The version of the entry
    /// says when the secret was gone.
    pub since: Option<u64>,
    /// Whether there was a secret, so that the account is ours.
    pub had_secret: bool,
    /// Kept beside, where the entry had it.
    #[serde(skip)]
    pub external_id: Option<String>,
}

/// What a revocation is to do beside removing the secret and ending the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationWanted {
    /// Whether to close the account for good.
    pub deactivate: bool,
}

/// The field that only provisioning needs, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Provisioning {
    Intent(Intent),
    /// The intent was dropped: the account turned out to be somebody else's.
    GivenUp,
    Revoking(Revocation),
    Adopted {
        intent_versions: Vec<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        creation_ts: Option<u64>,
    },
    Done {
        intent_versions: Vec<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        creation_ts: Option<u64>,
        #[serde(flatten)]
        created_as: CreatedAs,
    },
}

impl Record {
    /// Reads the newest version of an entry.
    pub fn of(newest: EntryVersion) -> Self {
        let Some(fields) = newest.fields else { return Self::Nothing };
        let external_id = match fields.get(EXTERNAL_ID) {
            Some(Value::String(external_id)) => Some(external_id.clone()),
            None | Some(Value::Null) => None,
            Some(_) => return Self::Unusable("its external_id is not a string"),
        };
        let provisioning = fields.get(PROVISIONING).cloned().map(serde_json::from_value);
        match (login_secret(&fields), provisioning) {
            (Ok(login_secret), provisioning) => {
                let (created_as, mut intent_versions, creation_ts) = match provisioning {
                    Some(Ok(Provisioning::Done { created_as, intent_versions, creation_ts })) => {
                        (Some(created_as), intent_versions, creation_ts)
                    }
                    Some(Ok(Provisioning::Adopted { intent_versions, creation_ts })) => {
                        (None, intent_versions, creation_ts)
                    }
                    _ => (None, Vec::new(), None),
                };
                // In an entry that was copied elsewhere, later numbers mean nothing.
                intent_versions.retain(|version| *version < newest.version);
                let entry = AccountEntry {
                    login_secret,
                    external_id,
                    created_as,
                    creation_ts,
                    intent_versions,
                    fields,
                };
                Self::Entry(entry)
            }
            (Err(_), Some(Ok(Provisioning::Intent(intent)))) => {
                Self::Intent(Intent { external_id, ..intent })
            }
            (Err(_), Some(Ok(Provisioning::GivenUp))) => Self::Nothing,
            (Err(_), Some(Ok(Provisioning::Revoking(revocation)))) => {
                Self::Revoking(Revocation { external_id, ..revocation })
            }
            (Err(_), Some(Err(_))) => {
                Self::Unusable("what it says of provisioning is not understood")
            }
            (Err(problem), _) => Self::Unusable(problem),
        }
    }
}

impl Record {
    /// The entry, where there has to be one.
    ///
    /// # Errors
    /// What there is instead.
    pub fn entry(self, account: &AccountId) -> Result<AccountEntry, ProvisioningError> {
        match self {
            Self::Entry(entry) => Ok(entry),
            Self::Nothing => Err(missing(account)),
            Self::Intent(_) => Err(unfinished(account)),
            Self::Revoking(_) => Err(revoking(account)),
            Self::Unusable(problem) => Err(unusable(account, problem)),
        }
    }
}

impl Intent {
    /// The fields to store.
    pub fn fields(&self) -> Map<String, Value> {
        fields(None, self.external_id.as_deref(), Some(&Provisioning::Intent(self.clone())))
    }

    /// The entry that takes the place of the intent, whose version is `version`.
    pub fn entry_fields(
        &self,
        version: u32,
        created_as: &CreatedAs,
        creation_ts: Option<u64>,
    ) -> Map<String, Value> {
        let done = Provisioning::Done {
            intent_versions: self.versions(version),
            creation_ts,
            created_as: created_as.clone(),
        };
        fields(Some(&self.login_secret), self.external_id.as_deref(), Some(&done))
    }

    /// What takes the place of an intent that is dropped.
    pub fn given_up_fields() -> Map<String, Value> {
        fields(None, None, Some(&Provisioning::GivenUp))
    }

    /// The same intent with another attempt, before which it is written again; `version` is the one
    /// that it has so far.
    #[must_use]
    pub fn with_attempt(mut self, attempt: CreationAttempt, version: u32) -> Self {
        self.earlier_versions = self.versions(version);
        if !self.attempts.contains(&attempt) {
            self.attempts.push(attempt);
        }
        self
    }

    /// Whether one of the attempts used this method.
    pub fn was_attempted_by(&self, method: CreationMethod) -> bool {
        self.attempts.iter().any(|attempt| attempt.method == method)
    }

    /// What the account is if it was created by this method, or by any if it is not known by which;
    /// `None` if the attempts differ in it.
    pub fn created_by(&self, method: Option<CreationMethod>) -> Option<CreatedAs> {
        let is_possible = |attempt: &&CreationAttempt| method.is_none_or(|m| attempt.method == m);
        let mut results = self.attempts.iter().filter(is_possible).map(CreationAttempt::result);
        let first = results.next()?;
        results.all(|other| other == first).then_some(first)
    }

    /// All versions that hold the intent, to destroy in the end; `version` is the newest of them.
    pub fn versions(&self, version: u32) -> Vec<u32> {
        self.earlier_versions.iter().copied().chain([version]).collect()
    }
}

impl Revocation {
    /// The fields to store, without the secret.
    pub fn fields(&self) -> Map<String, Value> {
        fields(None, self.external_id.as_deref(), Some(&Provisioning::Revoking(self.clone())))
    }
}

impl AccountEntry {
    /// The entry of an account that others created.
    ///
    /// `intent_versions` are the versions to destroy that held an intent.
    pub fn adopted_fields(
        login_secret: &SecretString,
        external_id: Option<&str>,
        intent_versions: &[u32],
        creation_ts: Option<u64>,
    ) -> Map<String, Value> {
        let adopted = provisioning(None, intent_versions.to_vec(), creation_ts);
        fields(Some(login_secret), external_id, adopted.as_ref())
    }

    /// The same entry with an external id, with what the account was created as, and when.
    pub fn with_owner(
        &self,
        external_id: Option<&str>,
        created_as: Option<&CreatedAs>,
        creation_ts: Option<u64>,
    ) -> Map<String, Value> {
        let mut fields = self.fields.clone();
        if let Some(external_id) = external_id {
            fields.insert(EXTERNAL_ID.to_owned(), external_id.into());
        }
        let intent_versions = self.intent_versions.clone();
        let provisioning = provisioning(created_as.cloned(), intent_versions, creation_ts);
        fields.extend(provisioning.as_ref().and_then(provisioning_field));
        fields
    }

    /// The same entry with another secret. The intent's versions must be destroyed by then.
    pub fn with_secret(&self, login_secret: &SecretString) -> Map<String, Value> {
        let mut fields = self.fields.clone();
        fields.insert(LOGIN_SECRET.to_owned(), login_secret.expose_secret().into());
        fields.remove(PROVISIONING);
        let provisioning = provisioning(self.created_as.clone(), Vec::new(), self.creation_ts);
        fields.extend(provisioning.as_ref().and_then(provisioning_field));
        fields
    }
}

/// What to store of an account beside its secret; `None` if there is nothing.
fn provisioning(
    created_as: Option<CreatedAs>,
    intent_versions: Vec<u32>,
    creation_ts: Option<u64>,
) -> Option<Provisioning> {
    match created_as {
        Some(created_as) => Some(Provisioning::Done { intent_versions, creation_ts, created_as }),
        None if intent_versions.is_empty() && creation_ts.is_none() => None,
        None => Some(Provisioning::Adopted { intent_versions, creation_ts }),
    }
}

fn fields(
    login_secret: Option<&SecretString>,
    external_id: Option<&str>,
    provisioning: Option<&Provisioning>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(secret) = login_secret {
        fields.insert(LOGIN_SECRET.to_owned(), secret.expose_secret().into());
    }
    if let Some(external_id) = external_id {
        fields.insert(EXTERNAL_ID.to_owned(), external_id.into());
    }
    fields.extend(provisioning.and_then(provisioning_field));
    fields
}

fn provisioning_field(provisioning: &Provisioning) -> Option<(String, Value)> {
    Some((PROVISIONING.to_owned(), serde_json::to_value(provisioning).ok()?))
}

fn expose<S: serde::Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[cfg(test)]
mod tests;
