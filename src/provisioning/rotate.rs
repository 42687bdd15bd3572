//! Gives an account another secret.

use super::account::conflict::will_be_deleted;
use super::error::ProvisioningError;
use super::provisioner::Provisioner;
use crate::random::new_secret;

/// A secret that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotatedSecret {
    /// Whose secret it is.
    pub matrix_user_id: String,
    /// The version of the entry that has it; `None` if the secrets engine has it.
    pub version: Option<u32>,
    /// When it was written, by Vault's clock, as of RFC 3339; `None` if it was not.
    pub created_time: Option<String>,
    /// Whether Vault keeps the secret before, so that `rotation_grace` can have an effect.
    pub former_kept: bool,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

impl Provisioner {
    /// Writes a new secret; all else in the entry stays. Nobody is logged out. A dry run only says
    /// what would be done.
    ///
    /// # Errors
    /// When Vault holds no secret to replace, or refuses the new one.
    pub async fn rotate_secret(
        &self,
        user_id: &str,
        dry_run: bool,
    ) -> Result<RotatedSecret, ProvisioningError> {
        if let Some(engine) = self.secrets_engine() {
            return self.rotate_in(&engine, user_id, dry_run).await;
        }
        let operation = self.operation(user_id)?;
        let secret = new_secret()?;
        let mut rounds = operation.entry.rounds();
        loop {
            let current = rounds.next().await?;
            let entry = current.record.entry(&operation.account)?;
            if dry_run {
                return Ok(RotatedSecret {
                    matrix_user_id: operation.account.user_id.to_string(),
                    version: Some(current.version.saturating_add(1)),
                    created_time: None,
                    former_kept: true,
                    warnings: Vec::new(),
                });
            }
            operation.entry.destroy_intents(&entry).await?;
            let fields = entry.with_secret(&secret);
            let Some(written) = operation.entry.write(fields, current.version).await? else {
                continue;
            };
            let path = &operation.account.path;
            // That it cannot be looked at must not hide that there is a new secret.
            let former_kept = operation.entry.holds(current.version).await.unwrap_or(true);
            let mut warnings = Vec::new();
            if !former_kept {
                warnings.push(format!(
                    "Vault keeps no version of {path} but the newest (max_versions), so \
                     rotation_grace has no effect"
                ));
            }
            if let Some(time) = written.deletion_time {
                warnings.push(will_be_deleted(path, &time));
            }
            return Ok(RotatedSecret {
                matrix_user_id: operation.account.user_id.to_string(),
                version: Some(written.version),
                created_time: Some(written.created_time),
                former_kept,
                warnings,
            });
        }
    }
}
