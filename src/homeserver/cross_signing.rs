//! Cross-signing keys that a user has lost.

use serde::Serialize;

use super::request::Request;
use super::{AccessToken, Homeserver, HomeserverError};

impl Homeserver {
    /// Lets a user replace their cross-signing keys in the next ten minutes without proving once more
    /// who they are. Nothing is changed for a user who has none.
    ///
    /// Synapse has this for Matrix Authentication Service alone, by the secret that the two share:
    /// `MasAllowCrossSigningResetResource` in
    /// <https://github.com/element-hq/synapse/blob/develop/synapse/rest/synapse/mas/users.py>.
    ///
    /// # Errors
    /// 403 for another secret, 404 for a user whom Synapse does not know or where it does without
    /// MAS, and what kept the homeserver from answering.
    pub async fn allow_cross_signing_reset(
        &self,
        localpart: &str,
        shared_secret: &AccessToken,
    ) -> Result<(), HomeserverError> {
        let path = ["_synapse", "mas", "allow_cross_signing_reset"];
        let request = Request::post(&path, &ResetBody { localpart })?.with_token(shared_secret)?;
        self.send(&request).await.map(drop)
    }
}

#[derive(Serialize)]
struct ResetBody<'a> {
    localpart: &'a str,
}
