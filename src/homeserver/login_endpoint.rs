//! Where sessions are opened with a token hash, and where they are ended.

use serde::{Deserialize, Serialize};

use super::{Homeserver, HomeserverError, LOGIN_TYPE};

/// Who serves logins and logouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginEndpoint {
    /// The homeserver itself, where Matrix has them.
    Homeserver,
    /// Our module: a homeserver with Matrix Authentication Service lets no module take part in
    /// Matrix's own.
    Module,
}

impl LoginEndpoint {
    /// The segments of a path that ends in these.
    pub(super) fn path(self, end: &[&'static str]) -> Vec<&'static str> {
        let start: &[&str] = match self {
            Self::Homeserver => &["_matrix", "client", "v3"],
            Self::Module => &["_synapse", "client", "vault_auth"],
        };
        [start, end].concat()
    }
}

impl Homeserver {
    /// Where this homeserver takes token hashes: where Matrix has logins if they are offered there,
    /// and else at our module if Matrix Authentication Service signs its users in.
    ///
    /// The first holds under that service too, where a reverse proxy sends logins to our module. Such
    /// a proxy need not hand on requests for the module's own address.
    ///
    /// # Errors
    /// Those of [`auth_metadata`](Self::auth_metadata).
    pub async fn login_endpoint(&self) -> Result<LoginEndpoint, HomeserverError> {
        match self.login_types().await {
            Ok(offered) if offered.iter().any(|login_type| login_type == LOGIN_TYPE) => {
                return Ok(LoginEndpoint::Homeserver);
            }
            Err(error @ HomeserverError::NoAnswer { .. }) => return Err(error),
            // What nobody serves is an error as well.
            Ok(_) | Err(_) => {}
        }
        let metadata = self.auth_metadata().await?;
        Ok(if metadata.is_some() { LoginEndpoint::Module } else { LoginEndpoint::Homeserver })
    }

    /// The login types that are offered there, such as `io.t2bot.vault`; none where nothing is
    /// served.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn login_types_at(
        &self,
        endpoint: LoginEndpoint,
    ) -> Result<Vec<String>, HomeserverError> {
        match endpoint {
            LoginEndpoint::Homeserver => self.login_types().await,
            LoginEndpoint::Module => Ok(self.login_types_of_module().await?.unwrap_or_default()),
        }
    }
}
