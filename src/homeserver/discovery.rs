//! What the homeserver tells everybody about itself.

use reqwest::StatusCode;
use ruma_client_api::discovery::get_supported_versions;
use ruma_client_api::session::get_login_types::{self, v3::LoginType};
use serde::Deserialize;

use super::request::Request;
use super::{Homeserver, HomeserverError, LoginEndpoint};

impl Homeserver {
    /// The login types that the homeserver offers, such as `m.login.password`.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3login>
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn login_types(&self) -> Result<Vec<String>, HomeserverError> {
        let response = self.ask(get_login_types::v3::Request::new(), None).await?;
        Ok(response.flows.iter().map(|flow| flow.login_type().to_owned()).collect())
    }

    /// Whether a session can get a token that opens another one, for another device to log in with.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3login>
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn gives_login_tokens(&self) -> Result<bool, HomeserverError> {
        let response = self.ask(get_login_types::v3::Request::new(), None).await?;
        Ok(response
            .flows
            .iter()
            .any(|flow| matches!(flow, LoginType::Token(token) if token.get_login_token)))
    }

    /// The versions of Matrix that the homeserver speaks, such as `v1.11`.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientversions>
    ///
    /// # Errors
    /// What kept the homeserver from answering; what answers otherwise is no homeserver.
    pub async fn versions(&self) -> Result<Vec<String>, HomeserverError> {
        let response = self.ask_at(get_supported_versions::Request::new(), (), None).await?;
        Ok(response.versions)
    }

    /// The login types that the module serves where Matrix Authentication Service signs users in;
    /// `None` where it serves none.
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn login_types_of_module(&self) -> Result<Option<Vec<String>>, HomeserverError> {
        let request = Request::get(&LoginEndpoint::Module.path(&["login"]));
        let answer = self.exchange(&request).await?;
        match answer.status {
            status if status.is_success() => {
                let Flows { flows } = self.understand(&request, &answer)?;
                Ok(Some(flows.into_iter().map(|flow| flow.kind).collect()))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(Self::refused(&request, &answer)),
        }
    }

    /// Who signs users in, where that is not the homeserver itself but Matrix Authentication Service
    /// (MAS); `None` where it is the homeserver.
    ///
    /// Synapse knows this request where its `matrix_authentication_service` is enabled, and nowhere
    /// else. It asks MAS before it answers.
    ///
    /// API: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1auth_metadata>
    ///
    /// # Errors
    /// A 5xx for a homeserver whose MAS does not answer, and what kept the homeserver from
    /// answering.
    pub async fn auth_metadata(&self) -> Result<Option<AuthMetadata>, HomeserverError> {
        let request = Request::get(&["_matrix", "client", "v1", "auth_metadata"]);
        let answer = self.exchange(&request).await?;
        match answer.status {
            status if status.is_success() => self.understand(&request, &answer).map(Some),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            _ => Err(Self::refused(&request, &answer)),
        }
    }

    /// Name and version of the homeserver's software, such as `Synapse 1.163.0`. `None` where it is
    /// not told: listeners for clients alone do not.
    ///
    /// API: <https://spec.matrix.org/v1.16/server-server-api/#get_matrixfederationv1version>
    ///
    /// # Errors
    /// What kept the homeserver from answering.
    pub async fn software(&self) -> Result<Option<String>, HomeserverError> {
        let request = Request::get(&["_matrix", "federation", "v1", "version"]);
        match self.fetch::<VersionBody>(&request).await {
            Ok(VersionBody { server: Software { name, version } }) => {
                Ok(Some(crate::text::quote(&format!("{name} {version}"))))
            }
            Err(HomeserverError::Refused { status: 400..=499, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Who signs a homeserver's users in, as the homeserver tells everybody.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuthMetadata {
    /// The address by which the service is known.
    pub issuer: String,
    /// Where it gives out tokens.
    pub token_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Flows {
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
struct Flow {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct VersionBody {
    server: Software,
}

#[derive(Deserialize)]
struct Software {
    name: String,
    version: String,
}
