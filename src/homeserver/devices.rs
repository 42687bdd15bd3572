//! One's own devices, each with its session.

use ruma_client_api::device::get_devices;
use serde::Serialize;

use super::request::Request;
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

    /// Says what others see a device called of the user of this token.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3devicesdeviceid>
    ///
    /// # Errors
    /// 404 `M_NOT_FOUND` for a device that there is not, and as for [`Self::devices`].
    pub async fn set_device_name(
        &self,
        token: &AccessToken,
        device: &str,
        name: &str,
    ) -> Result<(), HomeserverError> {
        let path = ["_matrix", "client", "v3", "devices", device];
        let request = Request::put(&path, &NameBody { display_name: name })?.with_token(token)?;
        self.send(&request).await.map(drop)
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

/// What a device is to be called.
#[derive(Serialize)]
struct NameBody<'a> {
    display_name: &'a str,
}

/// Devices to delete.
#[derive(Serialize)]
pub struct DeleteDevicesBody<'a> {
    /// Their ids.
    pub devices: &'a [String],
}
