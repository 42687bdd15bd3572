//! One's own devices, each with its session.

use ruma_client_api::device::get_devices;
use serde::Serialize;

use super::{AccessToken, Homeserver, HomeserverError, VaultStage};

impl Homeserver {
    /// The ids of the devices of the user of this token.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3devices>
    ///
    /// # Errors
    /// 401 `M_UNKNOWN_TOKEN` for a token that is none, and what kept the homeserver from answering.
    pub async fn devices(&self, token: &AccessToken) -> Result<Vec<String>, HomeserverError> {
        let response = self.ask(get_devices::v3::Request::new(), Some(token)).await?;
        Ok(response.devices.iter().map(|device| device.device_id.to_string()).collect())
    }

    /// Deletes devices of the user of this token, and ends their sessions. Unknown ones are none to
    /// delete.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3delete_devices>
    ///
    /// # Errors
    /// As for [`Self::deactivate_own_account`].
    pub async fn delete_devices(
        &self,
        token: &AccessToken,
        devices: &[String],
        stage: &VaultStage<'_>,
    ) -> Result<(), HomeserverError> {
        if devices.is_empty() {
            return Ok(());
        }
        self.reauthenticated(&["delete_devices"], &DeleteDevicesBody { devices }, token, stage)
            .await
    }
}

/// Devices to delete.
#[derive(Serialize)]
pub struct DeleteDevicesBody<'a> {
    /// Their ids.
    pub devices: &'a [String],
}
