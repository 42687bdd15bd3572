//! Gives an account another secret.

use std::time::Duration;

use super::account::account_entry::Record;
use super::account::conflict::contended;
use super::error::ProvisioningError;
use super::provisioner::Provisioner;
use crate::random::new_secret;

/// How often it is tried to write the next version while others write as well.
const MOST_ROUNDS: u32 = 20;

/// How long is waited before that: a node of Vault's may be behind.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(150);

/// A secret that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotatedSecret {
    /// Whose secret it is.
    pub matrix_user_id: String,
    /// The version of the entry that has it.
    pub version: u32,
    /// When it was written, by Vault's clock, as of RFC 3339.
    pub created_time: String,
}

impl Provisioner {
    /// Writes a new secret; all else in the entry stays. Nobody is logged out.
    ///
    /// # Errors
    /// When Vault holds no secret to replace, or refuses the new one.
    pub async fn rotate_secret(&self, user_id: &str) -> Result<RotatedSecret, ProvisioningError> {
        let account = self.account(user_id)?;
        let patience = self.patience();
        let secret = new_secret()?;
        for round in 0..MOST_ROUNDS {
            if round > 0 {
                tokio::time::sleep(BETWEEN_ROUNDS.min(patience.left())).await;
            }
            let newest = self.read(&patience, &account).await?;
            let version = newest.version;
            let entry = Record::of(newest).entry(&account)?;
            self.forget_intent(&patience, &account, &entry).await?;
            let fields = entry.with_secret(&secret);
            if let Some(written) = self.write(&patience, &account, fields, version).await? {
                return Ok(RotatedSecret {
                    matrix_user_id: account.user_id.to_string(),
                    version: written.version,
                    created_time: written.created_time,
                });
            }
        }
        Err(contended(&account))
    }
}
