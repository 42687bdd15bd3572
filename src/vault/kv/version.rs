//! Which version the KV engine is of. Vault is asked once by all who need to know, and again in the
//! background.
//!
//! A read never waits for a second question. Otherwise the time that a login takes would tell
//! whether the user has an entry, and logins would fail with this endpoint although entries can be
//! read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::sync::Mutex;
use crate::vault::VaultError;
use crate::vault::client::Client;
use crate::vault::mounts::Version;

/// How often Vault is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(60);

/// How often it is asked while it has not named a version.
const ASKED_EVERY_UNTIL_NAMED: Duration = Duration::from_secs(5);

/// What is known of the engine's version.
pub struct VersionDetector {
    client: Arc<Client>,
    configured: Option<Version>,
    state: Mutex<State>,
    /// Held while Vault is asked, so that one question at a time is under way.
    asking: tokio::sync::Mutex<()>,
    is_watched: AtomicBool,
    has_warned: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The version that Vault named last. What came of later questions does not take it away.
    named: Option<Version>,
    /// When the last question was over, and what came of it.
    last: Option<(Instant, Result<Option<Version>, VaultError>)>,
}

impl VersionDetector {
    /// Asks with `client`. A `configured` version is taken without asking.
    pub fn new(client: Arc<Client>, configured: Option<Version>) -> Self {
        Self {
            client,
            configured,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            is_watched: AtomicBool::new(false),
            has_warned: AtomicBool::new(false),
        }
    }

    /// The version to read with, as far as it is known by now.
    pub fn known(&self) -> Option<Version> {
        self.configured.or_else(|| self.named())
    }

    /// The version that Vault named.
    pub fn named(&self) -> Option<Version> {
        self.state.lock().named
    }

    /// The version to read with. Waits for the first answer, and assumes 2 if that names none.
    ///
    /// # Errors
    /// What kept Vault from answering.
    pub async fn version(self: &Arc<Self>) -> Result<Version, VaultError> {
        if let Some(version) = self.known() {
            return Ok(version);
        }
        let has_answer = matches!(self.state.lock().last, Some((_, Ok(_))));
        if !has_answer {
            match self.ask().await {
                Ok(Some(version)) => return Ok(version),
                Ok(None) => {}
                // Whether it is the mount or the token that is wrong, reading an entry will show.
                Err(VaultError::TokenInvalid { .. } | VaultError::TokenRefused { .. }) => {
                    return Ok(Version::V2);
                }
                Err(error) => return Err(error),
            }
        }
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            self.client.notices().warning(format!(
                "Vault does not tell the module the version of the KV engine at {}, so 2 is \
                 assumed. Check vault_kv_mount_point and the token's policy, \
                 or set vault_kv_version",
                self.client.mount()
            ));
        }
        Ok(self.known().unwrap_or(Version::V2))
    }

    /// Checks that the configured version is the one that Vault names. Waits for the first answer,
    /// and for no other.
    ///
    /// # Errors
    /// When it is another one. That Vault does not answer is no error here.
    pub async fn require_configured(self: &Arc<Self>) -> Result<(), VaultError> {
        let Some(configured) = self.configured else { return Ok(()) };
        if self.state.lock().last.is_none() {
            let _ = self.ask().await;
        }
        match self.named() {
            Some(named) if named != configured => Err(VaultError::Unexpected(format!(
                "the KV engine at {} is not of the version that vault_kv_version says",
                self.client.mount()
            ))),
            _ => Ok(()),
        }
    }

    /// Asks Vault, or waits for the answer to another's question that is under way. `None` if Vault
    /// names no version: it refuses to tell, or there is no such mount.
    ///
    /// # Errors
    /// What kept Vault from answering, or that another mount is there.
    pub async fn ask(self: &Arc<Self>) -> Result<Option<Version>, VaultError> {
        let wanted = Instant::now();
        // Whoever is given up lets the next one ask, in its own time.
        let _asking = self.asking.lock().await;
        if let Some((over, result)) = &self.state.lock().last
            && *over >= wanted
        {
            return result.clone();
        }
        let result = match self.client.mounted().await {
            Ok(mounted) => mounted.version(self.client.mount()),
            Err(error) => Err(error),
        };
        let mut state = self.state.lock();
        if let Ok(Some(version)) = &result {
            state.named = Some(*version);
        }
        state.last = Some((Instant::now(), result.clone()));
        result
    }

    /// From now on, asks again and again in the background, until this value is dropped.
    pub fn watch(self: &Arc<Self>) {
        if self.is_watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let detector = Arc::downgrade(self);
        tokio::spawn(async move {
            // The first question is a login's own.
            let mut wait = ASKED_EVERY_UNTIL_NAMED;
            loop {
                sleep(wait).await;
                let Some(detector) = detector.upgrade() else { return };
                let _ = detector.ask().await;
                wait = match detector.named() {
                    Some(_) => ASKED_EVERY,
                    None => ASKED_EVERY_UNTIL_NAMED,
                };
            }
        });
    }
}
