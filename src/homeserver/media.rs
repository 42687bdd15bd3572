//! The media repository.

use ruma_client_api::media::create_content;

use super::{AccessToken, Homeserver, HomeserverError};

impl Homeserver {
    /// Uploads a file; returns its `mxc://` URI.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixmediav3upload>
    ///
    /// # Errors
    /// 413 `M_TOO_LARGE` for a file that is, 401 `M_UNKNOWN_TOKEN` for a token that is none, and
    /// what kept the homeserver from answering.
    pub async fn upload(
        &self,
        token: &AccessToken,
        bytes: Vec<u8>,
        content_type: &str,
    ) -> Result<String, HomeserverError> {
        let mut request = create_content::v3::Request::new(bytes);
        request.content_type = Some(content_type.to_owned());
        let response = self.ask(request, Some(token)).await?;
        if !response.content_uri.is_valid() {
            return Err(HomeserverError::Unexpected {
                what: "the homeserver answered an upload with no mxc:// URI".to_owned(),
                may_have_applied: true,
            });
        }
        Ok(response.content_uri.to_string())
    }
}
