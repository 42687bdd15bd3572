//! What MAS says of itself.

use serde::Deserialize;

use super::request::Request;
use super::{MasClient, MasError, RequestKind};

/// What the site allows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SiteConfig {
    /// The name of the homeserver to which MAS belongs.
    pub server_name: String,
    /// Whether people may log in with a password.
    #[serde(default)]
    pub password_login_enabled: bool,
}

impl MasClient {
    /// The version, such as `v1.22.0`.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn version(&self) -> Result<String, MasError> {
        let request = Request::get(RequestKind::Info, &["version"]);
        let answer = self.send(&request).await?;
        self.understand::<VersionBody>(&request, &answer).map(|body| body.version)
    }

    /// To which homeserver MAS belongs, and what it allows.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn site_config(&self) -> Result<SiteConfig, MasError> {
        let request = Request::get(RequestKind::Info, &["site-config"]);
        let answer = self.send(&request).await?;
        self.understand(&request, &answer)
    }
}

#[derive(Deserialize)]
struct VersionBody {
    version: String,
}
