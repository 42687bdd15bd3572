//! Profiles: who has one, and setting one's own.

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::request::Request;
use super::{AccessToken, Dated, Homeserver, HomeserverError};

/// What a homeserver shows of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicProfile {
    /// This.
    Profile(Profile),
    /// It knows of no profile.
    Nothing,
    /// It does not tell without authentication.
    Undisclosed,
}

/// What others see of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Profile {
    /// The display name.
    #[serde(rename = "displayname")]
    pub display_name: Option<String>,
    /// The avatar, an `mxc://` URI.
    pub avatar_url: Option<String>,
}

impl Homeserver {
    /// The profile that the homeserver shows of this user to everybody; with its clock.
    ///
    /// Synapse has no profile for accounts whose display name and avatar were both taken away, so
    /// [`PublicProfile::Nothing`] does not prove that there is no account.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3profileuserid>
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn profile(&self, user_id: &str) -> Result<Dated<PublicProfile>, HomeserverError> {
        let request = Request::get(&["_matrix", "client", "v3", "profile", user_id]);
        let answer = self.exchange(&request).await?;
        let value = match answer.status {
            status if status.is_success() => {
                PublicProfile::Profile(self.understand(&request, &answer)?)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => PublicProfile::Undisclosed,
            _ => match Self::refused(&request, &answer) {
                error if is_no_profile(&error) => PublicProfile::Nothing,
                error => return Err(error),
            },
        };
        Ok(Dated { value, date: answer.date })
    }

    /// Sets the display name of the user of this token.
    ///
    /// API:
    /// <https://spec.matrix.org/v1.16/client-server-api/#put_matrixclientv3profileuseridkeyname>
    ///
    /// # Errors
    /// 401 `M_UNKNOWN_TOKEN` for a token that is none, 403 `M_FORBIDDEN` where users may not, 400
    /// for a name that is too long, and what kept the homeserver from answering.
    pub async fn set_display_name(
        &self,
        token: &AccessToken,
        user_id: &str,
        name: &str,
    ) -> Result<(), HomeserverError> {
        let field = Field { displayname: Some(name), avatar_url: None };
        self.set_field(token, user_id, "displayname", &field).await
    }

    /// Sets the avatar of the user of this token to an `mxc://` URI.
    ///
    /// # Errors
    /// As for [`Self::set_display_name`].
    pub async fn set_avatar(
        &self,
        token: &AccessToken,
        user_id: &str,
        mxc: &str,
    ) -> Result<(), HomeserverError> {
        let field = Field { displayname: None, avatar_url: Some(mxc) };
        self.set_field(token, user_id, "avatar_url", &field).await
    }

    async fn set_field(
        &self,
        token: &AccessToken,
        user_id: &str,
        key: &str,
        field: &Field<'_>,
    ) -> Result<(), HomeserverError> {
        let path = ["_matrix", "client", "v3", "profile", user_id, key];
        let request = Request::put(&path, field)?.with_token(token)?;
        self.send(&request).await.map(drop)
    }
}

/// The specification's code is `M_NOT_FOUND`; Synapse says `M_UNKNOWN` of who never had a profile.
/// A server that does not know the request says `M_UNRECOGNIZED`, a proxy nothing.
fn is_no_profile(error: &HomeserverError) -> bool {
    error.status() == Some(404) && matches!(error.errcode(), Some("M_NOT_FOUND" | "M_UNKNOWN"))
}

#[derive(Serialize)]
struct Field<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
}
