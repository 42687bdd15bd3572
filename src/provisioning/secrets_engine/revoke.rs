//! Takes an account out of the engine, and ends its sessions.

use super::super::error::ProvisioningError;
use super::super::provisioner::Provisioner;
use super::super::retry::retry;
use super::super::revoke::{RevokeOptions, RevokedUser};
use super::engine::{not_with_the_engine, place_of};
use crate::vault::SecretsEngine;

impl Provisioner {
    /// Removes the user from the engine, ends all sessions, those of leases among them, and
    /// deactivates the account if that is wanted.
    ///
    /// With an admin token it also removes what else may let somebody in. Without one it takes a
    /// session, which is opened before the user is removed.
    ///
    /// # Errors
    /// What one of the servers has against it. Doing it again does what is left; after the user is
    /// removed that takes an admin token.
    pub(crate) async fn revoke_in(
        &self,
        engine: &SecretsEngine<'_>,
        user_id: &str,
        options: RevokeOptions,
    ) -> Result<RevokedUser, ProvisioningError> {
        let operation = self.operation(user_id)?;
        let user_id = &operation.account.user_id;
        let (user, deadline) = (place_of(user_id)?, operation.remote.deadline);
        let accounts = &operation.accounts;
        let is_administrator = accounts.is_administrator();
        if options.deactivate && !is_administrator {
            return Err(not_with_the_engine(
                "deactivating without an admin token",
                "give an admin_access_token",
            ));
        }
        if is_administrator {
            operation.check_authority("to end sessions").await?;
        }
        let action = format!("read {}/config/user/{user}", engine.mount());
        let is_known = retry(deadline, &action, || engine.has_user(&user)).await?;
        let mut revoked = RevokedUser {
            matrix_user_id: user_id.to_string(),
            secret_removed: is_known,
            sessions_ended: is_known || is_administrator,
            sessions_end_at: None,
            deactivated: options.deactivate,
            warnings: Vec::new(),
        };
        if !revoked.sessions_ended {
            revoked.warnings.push(
                "the engine does not have the user, so nothing was ended: that takes an \
                 admin_access_token"
                    .to_owned(),
            );
        }
        if options.dry_run {
            return Ok(revoked);
        }
        let lease = if is_known && !is_administrator {
            Some(self.lease_of(engine, user_id, deadline).await?)
        } else {
            None
        };
        if is_known {
            let action = format!("delete {}/config/user/{user}", engine.mount());
            retry(deadline, &action, || engine.delete_user(&user)).await?;
        }
        if let Some(lease) = &lease {
            operation.sessions.log_out_everywhere(&lease.access_token).await?;
            // The session is over; that its lease stays until it ends does no harm.
            let _ = self.revoke_lease(&lease.lease_id).await;
        }
        if is_administrator {
            revoked.warnings.extend(accounts.reset_credentials().await?);
            accounts.end_sessions().await?;
            if options.deactivate {
                accounts.deactivate().await?;
            }
        }
        Ok(revoked)
    }
}
