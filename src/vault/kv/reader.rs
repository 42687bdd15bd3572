//! Reads users' secrets from a KV secrets engine of either version, for logins.

use std::sync::Arc;

use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::ReadSecretRequest;

use super::entry::Entry;
use super::response;
use super::version::VersionDetector;
use crate::vault::VaultError;
use crate::vault::client::Client;
use crate::vault::mounts::Version;
use crate::vault::request::{Request, RequestKind};

/// Reads users' entries from one mount.
pub struct KvReader {
    client: Arc<Client>,
    is_configured: bool,
    detector: Arc<VersionDetector>,
}

impl KvReader {
    /// Reads with `client`. Vault is asked for the version if it is `None`.
    #[must_use]
    pub fn new(client: Client, version: Option<Version>) -> Self {
        let client = Arc::new(client);
        let detector = Arc::new(VersionDetector::new(Arc::clone(&client), version));
        Self { client, is_configured: version.is_some(), detector }
    }

    /// The way to Vault.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads the newest version of the entry at `path`.
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not say what the entry holds.
    pub async fn read_login_secret(&self, path: &str) -> Result<Entry, VaultError> {
        self.detector.watch();
        let version = self.detector.version().await?;
        let result = self.read(version, path, None).await;
        match &result {
            // The engine may have been given versions since. A read of an entry that does not exist
            // does not get here, so the wait tells nobody who has an entry.
            Err(VaultError::Unexpected(_)) if !self.is_configured => {
                match self.detector.ask().await {
                    Ok(Some(now)) if now != version => self.read(now, path, None).await,
                    _ => result,
                }
            }
            // In an engine of another version every user seems to be missing.
            Ok(Entry::Missing) => {
                self.detector.require_configured().await?;
                result
            }
            _ => result,
        }
    }

    /// Reads one version of the entry at `path`; an engine of version 1 keeps none.
    ///
    /// # Errors
    /// [`VaultError`] when Vault does not say what the entry holds.
    pub async fn read_version(&self, path: &str, number: u64) -> Result<Entry, VaultError> {
        self.read(self.detector.version().await?, path, Some(number)).await
    }

    /// Reads the entry at `path` from another node than the one in use, which takes long. `None` if
    /// no other one says what the entry holds.
    ///
    /// That node may be a standby, which does not have what was written just before.
    pub async fn read_from_another_node(&self, path: &str) -> Option<Entry> {
        let version = self.detector.known()?;
        let request = self.request(version, path, None).ok()?;
        let answer = self.client.send_to_another_node(&request).await?;
        response::entry(version, self.client.mount(), &answer).ok()
    }

    /// Reads an entry that need not exist, to see whether entries can be read.
    ///
    /// Sends one request. The first call also asks for the engine's version.
    ///
    /// # Errors
    /// [`VaultError`] when they cannot.
    pub async fn check(&self, path: &str) -> Result<(), VaultError> {
        self.read_login_secret(path).await.map(|_| ())
    }

    /// The path of Vault's API, as policies have it, under which the entry at `path` is.
    #[must_use]
    pub fn api_path(&self, path: &str) -> String {
        match self.detector.known() {
            Some(Version::V1) => format!("{}/{path}", self.client.mount()),
            Some(Version::V2) | None => format!("{}/data/{path}", self.client.mount()),
        }
    }

    /// Whether Vault has named the version of the engine.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.detector.named().is_some()
    }

    /// Asks for the version of the engine, and waits for the answer. False if Vault names none.
    pub async fn ask_version(&self) -> bool {
        matches!(self.detector.ask().await, Ok(Some(_)))
    }

    /// The version of the engine, as far as it is known by now.
    #[must_use]
    pub fn known_version(&self) -> Option<Version> {
        self.detector.known()
    }

    async fn read(
        &self,
        version: Version,
        path: &str,
        number: Option<u64>,
    ) -> Result<Entry, VaultError> {
        if version == Version::V1 && number.is_some() {
            return Ok(Entry::Missing);
        }
        let answer = self.client.send(&self.request(version, path, number)?).await?;
        response::entry(version, self.client.mount(), &answer)
    }

    /// API: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version>
    /// and <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1#read-secret>
    fn request(
        &self,
        version: Version,
        path: &str,
        number: Option<u64>,
    ) -> Result<Request, VaultError> {
        let (mount, path) = (self.client.mount().to_string(), path.to_owned());
        match version {
            Version::V1 => Request::of(RequestKind::Read, &GetSecretRequest { mount, path }),
            Version::V2 => {
                let request = ReadSecretRequest { mount, path, version: number };
                Ok(Request::of(RequestKind::Read, &request)?.reading(&["/data/metadata"]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::notice::{Notice, Notices};
    use crate::sync::Mutex;
    use crate::vault::Config;
    use crate::vault::fake::{FakeVault, Reply};

    const MOUNT: &str = "sys/internal/ui/mounts/kv/deep";
    const V2: &str = "kv/deep/data/users/a";
    const V1: &str = "kv/deep/users/a";
    const PATH: &str = "users/a";
    const MINUTE: Duration = Duration::from_secs(60);

    struct Setting {
        vault: FakeVault,
        kv: KvReader,
        notices: Arc<Mutex<Vec<Notice>>>,
    }

    /// An engine of this version with an entry, which is asked for unless it is configured.
    fn setting(actual: u8, configured: Option<Version>) -> Setting {
        let vault = FakeVault::new();
        vault.on("", MOUNT, [Reply::mount("kv/deep", actual)]);
        let fields = json!({"login_secret": "s"});
        match actual {
            1 => vault.on("", V1, [Reply::data(&fields)]),
            _ => vault.on("", V2, [Reply::entry(1, &fields)]),
        }
        let notices = Arc::<Mutex<Vec<Notice>>>::default();
        let written = Arc::clone(&notices);
        let notices_to = Notices::new(move |notice| written.lock().push(notice));
        let config = Config::of_test("http://a:8200");
        let client = Client::with_transport(&config, notices_to, vault.transport());
        Setting { vault, kv: KvReader::new(client, configured), notices }
    }

    impl Setting {
        async fn has_entry(&self) -> bool {
            matches!(self.kv.read_login_secret(PATH).await, Ok(Entry::Secret(_)))
        }

        fn questions(&self) -> usize {
            self.vault.sent_for(RequestKind::Mount).len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_question_is_shared() {
        for actual in [1, 2] {
            let setting = setting(actual, None);
            let mount = Reply::mount("kv/deep", actual).after(Duration::from_millis(20));
            setting.vault.on("", MOUNT, [mount]);
            let reads = (0..60).map(|number| {
                let setting = &setting;
                async move {
                    sleep(Duration::from_millis(number % 30)).await;
                    setting.has_entry().await
                }
            });
            assert!(futures_util::future::join_all(reads).await.into_iter().all(|found| found));
            assert_eq!(setting.questions(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_fails_is_shared_and_asked_again_by_the_next_read() {
        let setting = setting(1, None);
        let ill = Reply::errors(500, &["ill"]).after(Duration::from_millis(20));
        setting.vault.on("", MOUNT, [ill, Reply::mount("kv/deep", 1)]);
        let reads = (0..60).map(|_| setting.has_entry());
        assert!(!futures_util::future::join_all(reads).await.into_iter().any(|found| found));
        assert_eq!(setting.questions(), 1);
        sleep(Duration::from_millis(1)).await;
        assert!(setting.has_entry().await);
        assert_eq!(setting.questions(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobodys_entry_takes_as_long_as_somebodys() {
        let setting = setting(2, None);
        setting.vault.on("", MOUNT, [Reply::mount("kv/deep", 2).after(Duration::from_millis(20))]);
        assert!(setting.has_entry().await);
        for _ in 0..10 {
            sleep(MINUTE + Duration::from_secs(1)).await;
            setting.vault.forget_sent();
            let began = Instant::now();
            assert!(matches!(
                setting.kv.read_login_secret("users/nobody").await,
                Ok(Entry::Missing)
            ));
            assert_eq!(began.elapsed(), Duration::ZERO);
            assert_eq!(setting.questions(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_version_is_asked_for_every_minute_in_the_background() {
        let setting = setting(2, None);
        assert!(setting.has_entry().await);
        for minutes in 1..10 {
            for _ in 0..60 {
                sleep(Duration::from_secs(1)).await;
                let _ = setting.kv.read_login_secret("users/nobody").await;
            }
            sleep(Duration::from_millis(1)).await;
            assert_eq!(setting.questions(), 1 + minutes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_stays_while_vault_does_not_tell() {
        for reply in [
            Reply::errors(500, &["ill"]),
            Reply::errors(403, &["refused"]),
            Reply::errors(404, &[]),
            Reply::text(200, "text/html", "<html>".to_owned()),
            Reply::hang(),
        ] {
            let setting = setting(1, None);
            assert!(setting.has_entry().await);
            setting.vault.on("", MOUNT, [reply]);
            for _ in 0..5 {
                sleep(MINUTE).await;
                assert!(setting.has_entry().await);
                let nobody = setting.kv.read_login_secret("users/nobody").await;
                assert!(matches!(nobody, Ok(Entry::Missing)));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_engine_is_known_within_a_minute() {
        let setting = setting(2, None);
        assert!(setting.has_entry().await);
        setting.vault.on("", MOUNT, [Reply::mount("kv/deep", 1)]);
        setting.vault.on("", V2, [Reply::errors(404, &[])]);
        setting.vault.on("", V1, [Reply::data(&json!({"login_secret": "s"}))]);
        sleep(MINUTE + Duration::from_secs(1)).await;
        assert!(setting.has_entry().await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_was_given_versions_is_known_at_once() {
        let setting = setting(1, None);
        assert!(setting.has_entry().await);
        setting.vault.on("", MOUNT, [Reply::mount("kv/deep", 2)]);
        sleep(Duration::from_millis(1)).await;
        let hint = json!({"data": null, "warnings": ["Invalid path for a versioned K/V engine"]});
        setting.vault.on("", V1, [Reply::json(404, hint)]);
        setting.vault.on("", V2, [Reply::entry(1, &json!({"login_secret": "s"}))]);
        assert!(setting.has_entry().await);
    }

    #[tokio::test(start_paused = true)]
    async fn version_2_is_assumed_until_vault_names_one() {
        let setting = setting(2, None);
        setting.vault.on("", MOUNT, [Reply::errors(403, &["refused"])]);
        for _ in 0..5 {
            assert!(setting.has_entry().await);
        }
        assert_eq!(setting.notices.lock().len(), 1);
        setting.vault.on("", MOUNT, [Reply::mount("kv/deep", 1)]);
        setting.vault.on("", V1, [Reply::data(&json!({"login_secret": "s"}))]);
        setting.vault.on("", V2, [Reply::errors(404, &[])]);
        sleep(Duration::from_secs(6)).await;
        assert!(setting.has_entry().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_version_is_named_at_the_first_read_and_asked_for_no_more_than_once() {
        for (actual, configured) in [(1, Version::V2), (2, Version::V1)] {
            let setting = setting(actual, Some(configured));
            let mount = Reply::mount("kv/deep", actual).after(Duration::from_millis(20));
            setting.vault.on("", MOUNT, [mount]);
            for _ in 0..5 {
                let error = setting.kv.read_login_secret(PATH).await.unwrap_err();
                assert!(error.to_string().contains("vault_kv_version"), "{error}");
            }
            assert_eq!(setting.questions(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_mount_that_is_missing_is_named_whatever_the_token_may_look_up() {
        let setting = setting(2, None);
        for path in [MOUNT, "auth/token/lookup-self"] {
            setting.vault.on("", path, [Reply::errors(403, &["permission denied"])]);
        }
        setting.vault.on("", V2, [Reply::errors(404, &["no handler for route"])]);
        for _ in 0..3 {
            let error = setting.kv.read_login_secret(PATH).await.unwrap_err();
            assert!(error.to_string().contains("vault_kv_mount_point"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_configured_version_needs_no_answer() {
        let setting = setting(2, Some(Version::V2));
        setting.vault.on("", MOUNT, [Reply::hang()]);
        let began = Instant::now();
        assert!(setting.has_entry().await);
        assert_eq!(began.elapsed(), Duration::ZERO);
        sleep(MINUTE).await;
        let began = Instant::now();
        assert!(matches!(setting.kv.read_login_secret("users/nobody").await, Ok(Entry::Missing)));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
