//! Leases of access tokens.

use std::time::Duration;

use super::super::account::sessions::LoginOptions;
use super::super::error::ProvisioningError;
use super::super::provisioner::Provisioner;
use super::super::retry::retry;
use super::engine::{not_with_the_engine, place_of};
use crate::homeserver::{AccessToken, Session};
use crate::retry::Deadline;
use crate::user_id::UserId;
use crate::vault::{Lease, SecretsEngine};

/// An access token that ends with its lease.
#[derive(Debug)]
pub struct EngineLease {
    /// Whose session it is.
    pub matrix_user_id: String,
    /// What its user's requests are sent with.
    pub access_token: AccessToken,
    /// The session's device.
    pub device_id: String,
    /// The name of the lease.
    pub lease_id: String,
    /// How long it runs from now on, unless it is renewed.
    pub duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Where the homeserver is, as the engine was told.
    pub homeserver_url: String,
}

impl Provisioner {
    /// Reads a token that ends with its lease.
    ///
    /// # Errors
    /// When there is no such user, and what the engine, Vault and the homeserver have against it.
    pub async fn read_lease(&self, user_id: &str) -> Result<EngineLease, ProvisioningError> {
        let engine = self.require_secrets_engine()?;
        self.lease_of(&engine, &self.user_id(user_id)?, self.deadline()).await
    }

    /// Logs in by a lease, for callers who do not renew it: the session ends with it.
    ///
    /// # Errors
    /// When the device is to be another one than the engine's, and those of
    /// [`read_lease`](Self::read_lease).
    pub(crate) async fn log_in_by_lease(
        &self,
        user_id: &str,
        options: &LoginOptions,
    ) -> Result<Session, ProvisioningError> {
        if options.device_id.is_some() || options.device_name.is_some() || options.logout_others {
            return Err(not_with_the_engine(
                "choosing the device or logging others out",
                "leave that out; `exec` takes --lease",
            ));
        }
        let lease = self.read_lease(user_id).await?;
        Ok(Session {
            user_id: lease.matrix_user_id,
            access_token: lease.access_token,
            device_id: lease.device_id,
            home_server: self.server_name().to_owned(),
            expires_in: Some(lease.duration),
        })
    }

    /// Keeps a lease; returns how long it runs from now on.
    ///
    /// # Errors
    /// When the lease is over or its token is dead, and what kept Vault from answering.
    pub async fn renew_lease(&self, lease_id: &str) -> Result<Duration, ProvisioningError> {
        let engine = self.require_secrets_engine()?;
        retry(self.deadline(), "renew the lease", || engine.renew(lease_id)).await
    }

    /// Ends a lease, and with it the session.
    ///
    /// # Errors
    /// When the token for Vault may not, and what kept Vault from answering.
    pub async fn revoke_lease(&self, lease_id: &str) -> Result<(), ProvisioningError> {
        let engine = self.require_secrets_engine()?;
        retry(self.deadline(), "revoke the lease", || engine.revoke(lease_id)).await
    }

    /// The same for one step of another verb.
    pub(crate) async fn lease_of(
        &self,
        engine: &SecretsEngine<'_>,
        user_id: &UserId,
        deadline: Deadline,
    ) -> Result<EngineLease, ProvisioningError> {
        let user = place_of(user_id)?;
        let action = format!("read {}/user/{user}", engine.mount());
        let lease = retry(deadline, &action, || engine.lease(&user)).await?;
        let Lease {
            lease_id, duration, renewable, access_token, device_id, homeserver_url, ..
        } = lease;
        let access_token = AccessToken::parse(&access_token)
            .map_err(|error| ProvisioningError::of_key("access_token", error))?;
        Ok(EngineLease {
            matrix_user_id: user_id.to_string(),
            access_token,
            device_id,
            lease_id,
            duration,
            renewable,
            homeserver_url,
        })
    }

    /// Ends a session that nobody needs: by its lease, or if the token for Vault may not revoke
    /// leases, by logging out. The lease then ends in its time.
    pub(crate) async fn end_lease(&self, lease: &EngineLease) {
        if self.revoke_lease(&lease.lease_id).await.is_err() {
            let _ = self.homeserver.log_out(&lease.access_token).await;
        }
    }
}
