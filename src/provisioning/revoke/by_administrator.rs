//! Revoking with the rights of an administrator.

use super::super::error::ProvisioningError;
use super::super::mas_access::needs_mas_client;
use super::super::operation::Operation;
use super::call::{Call, Pass};

impl Call<'_> {
    /// With the rights of an administrator.
    pub(super) async fn by_administrator(mut self) -> Pass {
        let emptied = self.empty().await?;
        self.look_for_mas_again().await?;
        if !self.may_administer() {
            self.warn_of_sessions("the homeserver has only now said who signs users in");
            return Ok((self.revoked, None));
        }
        let Operation { entry, accounts, .. } = &self.operation;
        let Some(found) = accounts.look_up().await?.details else {
            entry.remove().await?;
            self.warn_of_no_account();
            return Ok((self.revoked, None));
        };
        let is_ours = emptied.as_ref().is_some_and(|emptied| emptied.revocation.had_secret);
        let deactivate = self.options.deactivate
            || emptied.as_ref().is_some_and(|emptied| emptied.revocation.wanted.deactivate);
        self.revoked.deactivated = found.is_deactivated;
        // For good, so only an account that is ours: a slip of the id, or an account of others for
        // which Vault holds an intent, must not be closed.
        if deactivate && is_ours && !found.is_deactivated {
            self.check_deactivation().await?;
            accounts.deactivate().await?;
            self.revoked.deactivated = true;
        } else if found.is_deactivated && accounts.is_mas() {
            // MAS says so before the sessions have ended.
            accounts.end_sessions().await?;
        }
        if self.revoked.deactivated {
            entry.remove().await?;
            self.revoked.sessions_ended = true;
            return Ok((self.revoked, None));
        }
        let mut left = None;
        if is_ours {
            let warnings = accounts.reset_credentials().await?;
            self.revoked.warnings.extend(warnings);
        }
        accounts.end_sessions().await?;
        if let Some(emptied) = emptied.filter(|_| is_ours) {
            left = self.time_left(&emptied).await?;
        }
        if deactivate {
            self.warn_of_no_deactivation();
        }
        let Operation { entry, accounts, .. } = &self.operation;
        if left.is_none() {
            // A login may have been under way when the secret went.
            accounts.end_sessions().await?;
            entry.remove().await?;
            self.revoked.sessions_ended = true;
        }
        Ok((self.revoked, left))
    }

    /// Synapse's own deactivation is not for accounts that MAS has, which would not learn of it.
    async fn check_deactivation(&self) -> Result<(), ProvisioningError> {
        if self.operation.accounts.is_mas() {
            return Ok(());
        }
        match self.operation.sessions.mas_metadata().await? {
            Some(metadata) => Err(needs_mas_client(&metadata, "to deactivate accounts")),
            None => Ok(()),
        }
    }
}
