//! Whose token it is.

use serde::Deserialize;

use super::request::Request;
use super::{AccessToken, Homeserver, HomeserverError};

impl Homeserver {
    /// The user id of the session of this token.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3accountwhoami>
    ///
    /// # Errors
    /// 401 `M_UNKNOWN_TOKEN` if there is no such session, and what kept the homeserver from
    /// answering.
    pub async fn who_am_i(&self, token: &AccessToken) -> Result<String, HomeserverError> {
        let request = Request::get(&["_matrix", "client", "v3", "account", "whoami"]);
        let body: WhoAmIBody = self.fetch(&request.with_token(token)?).await?;
        Ok(body.user_id)
    }
}

#[derive(Deserialize)]
struct WhoAmIBody {
    user_id: String,
}
