//! Gives an account another secret.

use super::error::ProvisioningError;
use super::provisioner::Provisioner;
use crate::random::new_secret;

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
        let operation = self.operation(user_id)?;
        let secret = new_secret()?;
        let mut rounds = operation.entry.rounds();
        loop {
            let current = rounds.next().await?;
            let entry = current.record.entry(&operation.account)?;
            operation.entry.destroy_intents(&entry).await?;
            let fields = entry.with_secret(&secret);
            if let Some(written) = operation.entry.write(fields, current.version).await? {
                return Ok(RotatedSecret {
                    matrix_user_id: operation.account.user_id.to_string(),
                    version: written.version,
                    created_time: written.created_time,
                });
            }
        }
    }
}
