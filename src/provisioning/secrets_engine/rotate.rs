//! Gives an account another secret.

use std::time::{Duration, UNIX_EPOCH};

use super::super::error::ProvisioningError;
use super::super::provisioner::Provisioner;
use super::super::retry::retry;
use super::super::rotate::RotatedSecret;
use super::engine::{missing, place_of};
use crate::vault::SecretsEngine;

impl Provisioner {
    /// Has the engine make up another secret. A dry run only asks whether it has the user.
    ///
    /// # Errors
    /// When the engine does not have the user, and what it or Vault has against it.
    pub(crate) async fn rotate_in(
        &self,
        engine: &SecretsEngine<'_>,
        user_id: &str,
        dry_run: bool,
    ) -> Result<RotatedSecret, ProvisioningError> {
        let (user_id, deadline) = (self.user_id(user_id)?, self.deadline());
        let user = place_of(&user_id)?;
        let action = format!("read {}/config/user/{user}", engine.mount());
        if !retry(deadline, &action, || engine.has_user(&user)).await? {
            return Err(missing(engine, &user_id, &user));
        }
        let mut created_time = None;
        if !dry_run {
            let action = format!("write {}/rotate/{user}", engine.mount());
            let date = retry(deadline, &action, || engine.rotate(&user)).await?;
            created_time = date
                .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
                .map(|time| humantime::format_rfc3339_seconds(time).to_string());
        }
        Ok(RotatedSecret {
            matrix_user_id: user_id.to_string(),
            version: None,
            created_time,
            former_kept: false,
            warnings: Vec::new(),
        })
    }
}
