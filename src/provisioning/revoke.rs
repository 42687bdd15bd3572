//! Takes an account's secret away, and what was opened with it.
//!
//! Whoever had the secret may have left more than sessions: a password, an e-mail address by which
//! it can be reset, a token that opens another session within minutes, and for as long as the
//! module caches the secret, another login. So there is an order:
//! 1. The entry loses its secret at once. A version that says what was wanted takes its place, and
//!    the earlier versions are destroyed.
//! 2. What else lets somebody in is removed, and all sessions are ended.
//! 3. Once nothing can open another session any more, all sessions are ended again, and the entry
//!    is removed.
//!
//! A call that crashes, or that ends before the third step, is finished by the same call.

mod by_administrator;
mod by_owner;
mod call;
mod dry_run;

use super::error::ProvisioningError;
use super::provisioner::Provisioner;
use call::{Call, Pass};
pub use call::{RevokeOptions, RevokedUser};

impl Provisioner {
    /// Removes the secret with all its versions, ends all sessions, and deactivates the account if
    /// that is wanted.
    ///
    /// With an admin token it also removes what else may let somebody in; an account without an
    /// entry is logged out and nothing else. Without an admin token it takes a login with the very
    /// secret that is removed, and what cannot be done is said in a warning.
    ///
    /// # Errors
    /// What either server has against it. Doing it again does what is left.
    pub async fn revoke_user(
        &self,
        user_id: &str,
        options: RevokeOptions,
    ) -> Result<RevokedUser, ProvisioningError> {
        if let Some(engine) = self.secrets_engine() {
            return self.revoke_in(&engine, user_id, options).await;
        }
        let (mut revoked, mut left) = self.revoke_once(user_id, options).await?;
        while let Some(wait) = left.filter(|_| options.wait && !options.dry_run) {
            tokio::time::sleep(wait).await;
            let secret_removed = revoked.secret_removed;
            (revoked, left) = self.revoke_once(user_id, options).await?;
            revoked.secret_removed |= secret_removed;
        }
        Ok(revoked)
    }

    async fn revoke_once(&self, user_id: &str, options: RevokeOptions) -> Pass {
        let operation = self.operation(user_id)?;
        let revoked = RevokedUser {
            matrix_user_id: operation.account.user_id.to_string(),
            secret_removed: false,
            sessions_ended: false,
            sessions_end_at: None,
            deactivated: false,
            warnings: Vec::new(),
        };
        let mut call = Call {
            provisioner: self,
            operation,
            options,
            is_under_mas: false,
            unanswered: None,
            revoked,
        };
        call.look_for_mas().await?;
        if options.dry_run {
            call.plan().await
        } else if call.may_administer() {
            call.by_administrator().await
        } else {
            call.by_owner().await
        }
    }
}
