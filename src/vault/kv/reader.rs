//! Users' secrets in a KV secrets engine of either version.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::ReadSecretRequest;

use super::entry::Entry;
use super::response;
use crate::sync::Mutex;
use crate::vault::VaultError;
use crate::vault::client::Client;
use crate::vault::mounts::{self, Mounted, Version};
use crate::vault::request::{Request, RequestKind};

/// How long a detected version is taken for granted although nothing is found.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// What Vault said the version is, and when it was asked. What it did not say is never kept.
#[derive(Clone, Copy, Default)]
struct Known {
    version: Option<Version>,
    asked: Option<Instant>,
}

/// Reads users' entries from one mount.
pub struct KvReader {
    client: Client,
    configured: Option<Version>,
    known: Mutex<Known>,
    has_warned: AtomicBool,
}

impl KvReader {
    /// Reads with `client`; `version` is asked for if it is `None`.
    #[must_use]
    pub fn new(client: Client, version: Option<Version>) -> Self {
        Self {
            client,
            configured: version,
            known: Mutex::default(),
            has_warned: AtomicBool::new(false),
        }
    }

    /// The way to Vault.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads the newest version of the entry at `path`.
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not say what it holds.
    pub async fn read_login_secret(&self, path: &str) -> Result<Entry, VaultError> {
        let known = *self.known();
        let result = self.read(path, None).await;
        match &result {
            // Perhaps the engine was given versions since.
            Err(VaultError::Unexpected(_))
                if self.configured.is_none() && known.version.is_some() =>
            {
                self.known().version = None;
                self.read(path, None).await
            }
            // Or one of another version is mounted there, where every user seems to be missing.
            Ok(Entry::Missing) => {
                let is_old = known.asked.is_none_or(|asked| asked.elapsed() > GOOD_FOR);
                let actual = if is_old { self.detect().await? } else { known.version };
                self.require_configured(actual)?;
                match (self.configured, actual) {
                    (None, Some(_)) if is_old => self.read(path, None).await,
                    _ => result,
                }
            }
            _ => result,
        }
    }

    /// Reads one version of the entry at `path`; an engine of version 1 keeps none.
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not say what it holds.
    pub async fn read_version(&self, path: &str, number: u64) -> Result<Entry, VaultError> {
        self.read(path, Some(number)).await
    }

    /// Reads an entry that need not exist, to see whether entries can be read.
    ///
    /// That is one request, and another one before the first.
    ///
    /// # Errors
    /// [`VaultError`] when they cannot.
    pub async fn check(&self, path: &str) -> Result<(), VaultError> {
        let known = self.known().version;
        let actual = match known {
            Some(version) => Some(version),
            None => self.learn(self.client.mounted().await?)?,
        };
        self.require_configured(actual)?;
        let result = match self.configured.or(actual).unwrap_or(Version::V2) {
            Version::V1 => self.read_v1(path).await,
            Version::V2 => self.read_v2(path, None).await,
        };
        if let Err(VaultError::Unexpected(_)) = &result {
            // Perhaps there is another engine now.
            *self.known() = Known::default();
        }
        result.map(|_| ())
    }

    /// Whether it was asked which version of the engine is mounted, and told.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known().version.is_some()
    }

    /// The version of the engine, as far as it is known by now.
    #[must_use]
    pub fn known_version(&self) -> Option<Version> {
        self.configured.or(self.known().version)
    }

    fn require_configured(&self, actual: Option<Version>) -> Result<(), VaultError> {
        match (self.configured, actual) {
            (Some(configured), Some(actual)) if configured != actual => {
                Err(VaultError::Unexpected(format!(
                    "the KV engine at {} is not of the version that vault_kv_version says",
                    self.client.mount()
                )))
            }
            _ => Ok(()),
        }
    }

    async fn read(&self, path: &str, number: Option<u64>) -> Result<Entry, VaultError> {
        match (self.version().await?, number) {
            (Version::V1, None) => self.read_v1(path).await,
            (Version::V1, Some(_)) => Ok(Entry::Missing),
            (Version::V2, number) => self.read_v2(path, number).await,
        }
    }

    async fn version(&self) -> Result<Version, VaultError> {
        if let Some(version) = self.known_version() {
            return Ok(version);
        }
        if let Some(version) = self.detect().await? {
            return Ok(version);
        }
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            self.client.notices().warning(format!(
                "Vault does not tell the module the version of the KV engine at {}, so 2 is \
                 assumed. Check vault_kv_mount_point and the token's policy, \
                 or set vault_kv_version",
                self.client.mount()
            ));
        }
        Ok(Version::V2)
    }

    /// Asks Vault for the version, and keeps it; `None` if Vault does not tell.
    async fn detect(&self) -> Result<Option<Version>, VaultError> {
        let mount = self.client.mount();
        *self.known() = Known { version: None, asked: Some(Instant::now()) };
        let mounted = match self.client.send(&mounts::request(mount)).await {
            Ok(answer) => mounts::parse_response(mount, &answer)?,
            // Whether it is the mount or the token that is missing, reading a secret will tell.
            Err(VaultError::Denied { .. } | VaultError::TokenInvalid { .. }) => Mounted::Unknown,
            Err(error) => return Err(error),
        };
        self.learn(mounted)
    }

    fn learn(&self, mounted: Mounted) -> Result<Option<Version>, VaultError> {
        let version = mounted.version(self.client.mount())?;
        if version.is_some() {
            self.known().version = version;
        }
        Ok(version)
    }

    /// API: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version>
    async fn read_v2(&self, path: &str, version: Option<u64>) -> Result<Entry, VaultError> {
        let mount = self.client.mount();
        let request =
            ReadSecretRequest { mount: mount.to_string(), path: path.to_owned(), version };
        let request = Request::of(RequestKind::Read, &request)?;
        response::entry_of_v2(mount, &self.client.send(&request).await?)
    }

    /// API: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1#read-secret>
    async fn read_v1(&self, path: &str) -> Result<Entry, VaultError> {
        let mount = self.client.mount();
        let request = GetSecretRequest { mount: mount.to_string(), path: path.to_owned() };
        let request = Request::of(RequestKind::Read, &request)?;
        response::entry_of_v1(mount, &self.client.send(&request).await?)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock()
    }
}
