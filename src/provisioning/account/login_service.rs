//! Who signs users in, and which logins are served: what the homeserver says, remembered for a while.

use std::time::{Duration, Instant};

use super::super::error::ProvisioningError;
use super::super::retry::retry;
use crate::homeserver::{AuthMetadata, Homeserver, LoginEndpoint};
use crate::retry::Deadline;
use crate::sync::Mutex;

/// How long an answer is remembered.
const LIFETIME: Duration = Duration::from_secs(60);

/// How long to wait for an answer that only makes an error more helpful.
const LONGEST_GLANCE: Duration = Duration::from_secs(5);

/// Who signs users in at one homeserver, and which logins are served there.
#[derive(Default)]
pub struct LoginService {
    metadata: Remembered<Option<AuthMetadata>>,
    types: Remembered<Vec<String>>,
}

impl LoginService {
    /// What is known of Matrix Authentication Service (MAS), where that signs users in; `None` where
    /// the homeserver does.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn mas(
        &self,
        homeserver: &Homeserver,
        deadline: Deadline,
    ) -> Result<Option<AuthMetadata>, ProvisioningError> {
        if let Some(metadata) = self.metadata.recall() {
            return Ok(metadata);
        }
        let action = "ask the homeserver who signs its users in";
        let metadata = retry(deadline, action, || homeserver.auth_metadata())
            .await
            .map_err(advise_mas_away)?;
        self.metadata.keep(metadata.clone());
        Ok(metadata)
    }

    /// The same, asked once and not for long: for an error that can do without.
    pub async fn mas_if_answered(&self, homeserver: &Homeserver) -> Option<AuthMetadata> {
        let asked = tokio::time::timeout(LONGEST_GLANCE, homeserver.auth_metadata());
        asked.await.ok()?.ok().flatten()
    }

    /// Who serves logins and logouts.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn endpoint(
        &self,
        homeserver: &Homeserver,
        deadline: Deadline,
    ) -> Result<LoginEndpoint, ProvisioningError> {
        Ok(match self.mas(homeserver, deadline).await? {
            Some(_) => LoginEndpoint::Module,
            None => LoginEndpoint::Homeserver,
        })
    }

    /// Whether logins of a type are served.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn offers(
        &self,
        homeserver: &Homeserver,
        deadline: Deadline,
        login_type: &str,
    ) -> Result<bool, ProvisioningError> {
        let endpoint = self.endpoint(homeserver, deadline).await?;
        if let Some(types) = self.types.recall() {
            return Ok(types.iter().any(|offered| offered == login_type));
        }
        let action = "ask the homeserver for its login types";
        let types = match endpoint {
            LoginEndpoint::Homeserver => {
                retry(deadline, action, || homeserver.login_types()).await?
            }
            LoginEndpoint::Module => {
                let ask = || homeserver.login_types_of_module();
                retry(deadline, action, ask).await?.unwrap_or_default()
            }
        };
        self.types.keep(types.clone());
        Ok(types.iter().any(|offered| offered == login_type))
    }
}

/// Synapse asks MAS before it answers.
fn advise_mas_away(error: ProvisioningError) -> ProvisioningError {
    if error.status == Some(500) && error.errcode.is_some() {
        return error.advise(
            "the homeserver leaves logins to Matrix Authentication Service, and does not reach it: \
             see the homeserver's own log",
        );
    }
    error
}

/// An answer, until it is too old.
struct Remembered<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn recall(&self) -> Option<T> {
        let kept = self.0.lock();
        kept.as_ref().filter(|(asked, _)| asked.elapsed() < LIFETIME).map(|(_, kept)| kept.clone())
    }

    fn keep(&self, value: T) {
        *self.0.lock() = Some((Instant::now(), value));
    }
}
