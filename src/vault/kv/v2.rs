//! Entries of a versioned KV secrets engine, read and written with their versions.
//!
//! Each write is a check-and-set: it names the version that it is meant to follow, and does nothing
//! if that is no longer the newest. An engine of version 1 cannot do that.

use std::sync::{Arc, MutexGuard};

use serde::Deserialize;
use serde_json::{Map, Value};
use vaultrs::api::kv2::requests::{
    DeleteSecretMetadataRequest, DestroySecretVersionsRequest, ReadSecretRequest, SetSecretRequest,
    SetSecretRequestOptions,
};
use vaultrs::api::kv2::responses::{
    ListSecretsResponse, ReadSecretResponse, SecretVersionMetadata,
};

use super::response::{missing, parse, unexpected};
use super::version::VersionDetector;
use crate::sync::Mutex;
use crate::vault::client::Client;
use crate::vault::error::messages;
use crate::vault::mounts::Version;
use crate::vault::request::{Request, RequestKind};
use crate::vault::transport::{Index, ServerResponse};
use crate::vault::{Mount, VaultError};

/// Longest list of names that is read, in bytes: the names of some million users.
const LONGEST_LIST: usize = 1 << 28;

/// A KV secrets engine of version 2.
pub struct Kv2 {
    client: Arc<Client>,
    mount: Mount,
    is_configured: bool,
    detector: Arc<VersionDetector>,
    /// The index of the last write, which later reads must have seen.
    index: Mutex<Option<Index>>,
}

/// One entry. Its reads see what was written through the same value, and what was written through
/// the same [`Kv2`] before the value was made.
pub struct KvEntry<'a> {
    kv: &'a Kv2,
    path: String,
    index: Mutex<Option<Index>>,
}

/// The newest version of an entry, or another one that was asked for.
#[derive(Clone, Debug, Default)]
pub struct EntryVersion {
    /// Its number, which the next write has to name; 0 for an entry that was never written.
    pub version: u32,
    /// When it was written, by Vault's clock, as of RFC 3339.
    pub created_time: String,
    /// What it holds; `None` if nothing, or if it was deleted or destroyed.
    pub fields: Option<Map<String, Value>>,
    /// When Vault will delete it by itself, as of RFC 3339.
    pub deletion_time: Option<String>,
    /// When Vault answered, by its clock, in seconds since 1970.
    pub answered: Option<u64>,
}

/// A version that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its number.
    pub version: u32,
    /// When, by Vault's clock, as of RFC 3339.
    pub created_time: String,
    /// When Vault will delete it by itself, as of RFC 3339.
    pub deletion_time: Option<String>,
}

/// What an engine keeps of its entries, unless an entry has settings of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EngineSettings {
    /// How many versions of an entry it keeps; 0 for the default, which is ten.
    #[serde(default)]
    pub max_versions: u64,
    /// After what time it deletes each version, as Vault writes it; `0s` for never.
    #[serde(default)]
    pub delete_version_after: String,
}

impl EngineSettings {
    /// After what time each version is deleted; `None` for never.
    #[must_use]
    pub fn deletes_after(&self) -> Option<&str> {
        let is_never = self.delete_version_after.chars().all(|c| !matches!(c, '1'..='9'));
        (!is_never).then_some(self.delete_version_after.as_str())
    }
}

impl Kv2 {
    /// Writes with `client`. Whether the engine is of version 2 is asked unless it is configured.
    #[must_use]
    pub fn new(client: Client, configured: Option<Version>) -> Self {
        let client = Arc::new(client);
        let detector = Arc::new(VersionDetector::new(Arc::clone(&client), configured));
        Self {
            mount: client.mount().clone(),
            client,
            is_configured: configured.is_some(),
            detector,
            index: Mutex::default(),
        }
    }

    /// The engine at another mount, with the same token. It must be known to be of version 2.
    #[must_use]
    pub fn at(&self, mount: Mount) -> Self {
        let client = Arc::clone(&self.client);
        let detector = Arc::new(VersionDetector::new(Arc::clone(&client), Some(Version::V2)));
        Self { client, mount, is_configured: true, detector, index: Mutex::default() }
    }

    /// The way to Vault.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The entry at `path`.
    #[must_use]
    pub fn entry(&self, path: String) -> KvEntry<'_> {
        KvEntry { kv: self, path, index: Mutex::new(locked(&self.index).clone()) }
    }

    /// What the engine keeps; `None` if the token may not know.
    ///
    /// API:
    /// <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-kv-engine-configuration>
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not answer.
    pub async fn settings(&self) -> Result<Option<EngineSettings>, VaultError> {
        let mount = self.mount();
        let request = Request::get(RequestKind::Other, &format!("{mount}/config"));
        match self.client.send(&request).await {
            Ok(answer) if answer.status.is_success() => parse(mount, 2, &answer),
            Ok(_) | Err(VaultError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Names of entries and, with a slash behind them, of folders below `folder`.
    ///
    /// API: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#list-secrets>
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not answer with names. An empty folder is no error.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, VaultError> {
        self.require_version_2().await?;
        let mount = self.mount();
        let path = format!("{mount}/metadata/{folder}");
        let request = Request {
            // Many proxies refuse the method LIST, for which this stands.
            query: Some("list=true".to_owned()),
            longest_answer: LONGEST_LIST,
            reads: &["/data/keys"],
            ..Request::get(RequestKind::Other, &path)
        };
        let answer = self.client.send(&request).await?;
        match answer.status.as_u16() {
            200 => {
                let found: Option<ListSecretsResponse> = parse(mount, 2, &answer)?;
                Ok(found.map(|found| found.keys).unwrap_or_default())
            }
            404 => missing(mount, &answer).map(|_| Vec::new()),
            _ => Err(unexpected(mount, &answer)),
        }
    }

    fn mount(&self) -> &Mount {
        &self.mount
    }

    /// Checks before the first request that the engine keeps versions.
    async fn require_version_2(&self) -> Result<(), VaultError> {
        let version = match self.detector.known() {
            Some(Version::V2) => return Ok(()),
            // An engine of version 1 may have been upgraded since.
            Some(Version::V1) if self.is_configured => Some(Version::V1),
            _ => self.detector.ask().await?,
        };
        let mount = self.mount();
        match version {
            Some(Version::V1) => Err(VaultError::Unexpected(format!(
                "the KV engine at {mount} is of version 1, which has no check-and-set; \
                 provisioning needs version 2 (`vault kv enable-versioning {mount}` upgrades it)"
            ))),
            // Without a version, the first read or write will show it.
            Some(Version::V2) | None => Ok(()),
        }
    }
}

impl KvEntry<'_> {
    /// The path as an administrator would write it, mount first.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.kv.mount(), self.path)
    }

    /// Reads the newest version.
    ///
    /// API: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version>
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not say what it holds.
    pub async fn read(&self) -> Result<EntryVersion, VaultError> {
        self.kv.require_version_2().await?;
        self.ask(None).await
    }

    /// Reads one version, whichever is the newest.
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not say what it holds.
    pub async fn read_version(&self, version: u32) -> Result<EntryVersion, VaultError> {
        self.ask(Some(version.into())).await
    }

    async fn ask(&self, version: Option<u64>) -> Result<EntryVersion, VaultError> {
        let mount = self.kv.mount();
        let path = self.path.clone();
        let request = ReadSecretRequest { mount: mount.to_string(), path, version };
        let request = Request::of(RequestKind::Read, &request)?.reading(&["/data/metadata"]);
        let answer = self.send(&request).await?;
        match answer.status.as_u16() {
            200 => {
                let found: ReadSecretResponse =
                    parse(mount, 2, &answer)?.ok_or_else(|| not_understood(mount))?;
                let version = number(mount, found.metadata.version)?;
                let fields = match found.data {
                    Value::Object(fields) => Some(fields),
                    _ => None,
                };
                Ok(EntryVersion {
                    version,
                    created_time: found.metadata.created_time,
                    deletion_time: not_empty(found.metadata.deletion_time),
                    fields,
                    answered: answer.date,
                })
            }
            404 => {
                missing(mount, &answer)?;
                let version = deleted_version(&answer).unwrap_or(0);
                Ok(EntryVersion {
                    version: number(mount, version)?,
                    answered: answer.date,
                    ..EntryVersion::default()
                })
            }
            _ => Err(unexpected(mount, &answer)),
        }
    }

    /// Writes the version that follows `after`; `None` if another one has been written since.
    ///
    /// API: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#create-update-secret>
    ///
    /// # Errors
    /// [`VaultError`] when Vault refuses, or does not confirm the write.
    pub async fn write(
        &self,
        fields: Map<String, Value>,
        after: u32,
    ) -> Result<Option<Written>, VaultError> {
        self.kv.require_version_2().await?;
        let mount = self.kv.mount();
        let request = SetSecretRequest {
            mount: mount.to_string(),
            path: self.path.clone(),
            data: Value::Object(fields),
            options: Some(SetSecretRequestOptions { cas: after }),
        };
        let request = Request::of(RequestKind::Other, &request)?.reading(&["/data/version"]);
        let answer = self.send(&request).await?;
        match answer.status.as_u16() {
            200 => {
                let written: SecretVersionMetadata =
                    parse(mount, 2, &answer)?.ok_or_else(|| not_understood(mount))?;
                self.remember_index(&answer);
                Ok(Some(Written {
                    version: number(mount, written.version)?,
                    created_time: written.created_time,
                    deletion_time: not_empty(written.deletion_time),
                }))
            }
            // The text may change between releases of Vault, so the version is read as well.
            400 if says_check_and_set(&answer) || self.read().await?.version != after => Ok(None),
            _ => Err(unexpected(mount, &answer)),
        }
    }

    /// Removes what these versions hold, for good.
    ///
    /// API:
    /// <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#destroy-secret-versions>
    ///
    /// # Errors
    /// [`VaultError`] when Vault refuses, or does not confirm it.
    pub async fn destroy(&self, versions: &[u32]) -> Result<(), VaultError> {
        let request = DestroySecretVersionsRequest {
            mount: self.kv.mount().to_string(),
            path: self.path.clone(),
            versions: versions.iter().copied().map(u64::from).collect(),
        };
        let answer = self.send(&Request::of(RequestKind::Other, &request)?).await?;
        self.confirm(&answer)
    }

    /// Removes the entry with all its versions, for good. One that is not there is no error.
    ///
    /// API:
    /// <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#delete-metadata-and-all-versions>
    ///
    /// # Errors
    /// [`VaultError`] when Vault refuses, or does not confirm it.
    pub async fn remove(&self) -> Result<(), VaultError> {
        self.kv.require_version_2().await?;
        let request = DeleteSecretMetadataRequest {
            mount: self.kv.mount().to_string(),
            path: self.path.clone(),
        };
        let answer = self.send(&Request::of(RequestKind::Other, &request)?).await?;
        self.confirm(&answer)
    }

    fn confirm(&self, answer: &ServerResponse) -> Result<(), VaultError> {
        if !answer.status.is_success() {
            return Err(unexpected(self.kv.mount(), answer));
        }
        self.remember_index(answer);
        Ok(())
    }

    async fn send(&self, request: &Request) -> Result<ServerResponse, VaultError> {
        let index = locked(&self.index).clone();
        self.kv.client.send_after(index.as_ref(), request).await
    }

    fn remember_index(&self, answer: &ServerResponse) {
        if let Some(index) = Index::of(answer) {
            *locked(&self.index) = Some(index.clone());
            *locked(&self.kv.index) = Some(index);
        }
    }
}

fn locked(index: &Mutex<Option<Index>>) -> MutexGuard<'_, Option<Index>> {
    index.lock()
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The number of a version that was deleted or destroyed: a 404 carries its metadata.
fn deleted_version(answer: &ServerResponse) -> Option<u64> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body.pointer("/data/metadata/version")?.as_u64()
}

fn says_check_and_set(answer: &ServerResponse) -> bool {
    messages(&answer.body)
        .is_some_and(|messages| messages.iter().any(|message| message.contains("check-and-set")))
}

fn number(mount: &Mount, version: u64) -> Result<u32, VaultError> {
    u32::try_from(version).map_err(|_| not_understood(mount))
}

fn not_understood(mount: &Mount) -> VaultError {
    VaultError::Unexpected(format!(
        "the answer is not that of a KV version 2 engine; check that {mount} is one"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notice::Notices;
    use crate::vault::Config;
    use crate::vault::fake::{FakeVault, Reply};

    const FOLDER: &str = "kv/deep/metadata/users";

    fn kv(vault: &FakeVault) -> Kv2 {
        let config = Config::of_test("http://a:8200");
        let client = Client::with_transport(&config, Notices::new(|_| {}), vault.transport());
        Kv2::new(client, Some(Version::V2))
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_asked_for_by_a_get_which_proxies_let_through() {
        let vault = FakeVault::new();
        vault.on("", FOLDER, [Reply::data(&json!({"keys": ["a", "b/"]})), Reply::errors(404, &[])]);
        assert_eq!(kv(&vault).list("users").await.unwrap(), ["a", "b/"]);
        assert_eq!(vault.sent()[0].line, format!("GET {FOLDER}?list=true"));
        assert!(kv(&vault).list("users").await.unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_list_may_be_long() {
        let vault = FakeVault::new();
        let names: Vec<_> =
            (0..50_000).map(|number| format!("@user{number}:example.org")).collect();
        vault.on("", FOLDER, [Reply::data(&json!({ "keys": names }))]);
        let kv = kv(&vault);
        assert_eq!(kv.list("users").await.unwrap().len(), 50_000);
        let text = "s".repeat(1 << 20);
        vault.on("", "kv/deep/data/a", [Reply::entry(1, &json!({"login_secret": text}))]);
        let error = kv.entry("a".to_owned()).read().await.unwrap_err();
        assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_engine_keeps() {
        for (fields, deletes_after) in [
            (json!({"delete_version_after": "0s", "max_versions": 0, "cas_required": false}), None),
            (json!({"delete_version_after": "720h0m0s", "max_versions": 1}), Some("720h0m0s")),
            (json!({}), None),
        ] {
            let vault = FakeVault::new();
            vault.on("", "kv/deep/config", [Reply::data(&fields)]);
            let settings = kv(&vault).settings().await.unwrap().unwrap();
            assert_eq!(settings.deletes_after(), deletes_after);
            assert_eq!(settings.max_versions, fields["max_versions"].as_u64().unwrap_or(0));
        }
        let vault = FakeVault::new();
        vault.on("", "kv/deep/config", [Reply::errors(403, &["permission denied"])]);
        assert_eq!(kv(&vault).settings().await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_was_upgraded_is_written_to() {
        let vault = FakeVault::new();
        let mount = "sys/internal/ui/mounts/kv/deep";
        vault.on("", mount, [Reply::mount("kv/deep", 1), Reply::mount("kv/deep", 2)]);
        let config = Config::of_test("http://a:8200");
        let client = Client::with_transport(&config, Notices::new(|_| {}), vault.transport());
        let kv = Kv2::new(client, None);
        let error = kv.list("users").await.unwrap_err();
        assert!(error.to_string().contains("enable-versioning"), "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        for _ in 0..3 {
            kv.list("users").await.unwrap();
        }
        assert_eq!(vault.sent_for(RequestKind::Mount).len(), 2);
    }
}
