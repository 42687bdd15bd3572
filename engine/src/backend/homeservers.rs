//! Connections to homeservers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use synapse_vault_auth_provider_core::notice::Notices;
use synapse_vault_auth_provider_core::sync::Mutex;

use super::homeserver_client::HomeserverClient;
use crate::logical::LogicalError;
use crate::storage::{HomeserverAddress, HomeserverConfig};

/// How many clients are kept before those that nobody uses are dropped.
const MOST_IDLE: usize = 64;

/// The homeservers of a mount.
pub struct Homeservers {
    clients: Mutex<HashMap<(HomeserverAddress, Duration), Arc<HomeserverClient>>>,
    notices: Notices,
}

impl Homeservers {
    /// No connections yet.
    #[must_use]
    pub fn new(notices: Notices) -> Self {
        Self { clients: Mutex::default(), notices }
    }

    /// The homeserver of this configuration.
    ///
    /// # Errors
    /// 400 when the configuration cannot be used.
    pub async fn client(
        &self,
        config: &HomeserverConfig,
    ) -> Result<Arc<HomeserverClient>, LogicalError> {
        let key = (config.address.clone(), config.request_timeout());
        if let Some(client) = self.clients.lock().get(&key) {
            return Ok(Arc::clone(client));
        }
        let (address, request_timeout) = key.clone();
        let notices = self.notices.clone();
        // Reading the system's certificates takes long.
        let made = tokio::task::spawn_blocking(move || {
            HomeserverClient::new(&address, request_timeout, notices)
        });
        let made = made.await.map_err(|_| LogicalError::status(503, "the plugin is ending"))??;
        let mut clients = self.clients.lock();
        if clients.len() > MOST_IDLE {
            clients.retain(|_, client| Arc::strong_count(client) > 1);
        }
        Ok(Arc::clone(clients.entry(key).or_insert_with(|| Arc::new(made))))
    }
}
