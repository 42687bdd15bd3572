//! Questions to Vault that help an administrator find what is wrong.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::error::VaultError;
use super::error::quote;
use super::nodes::Node;
use super::request::{Request, RequestKind};
use super::token::lease::{self, Lookup, Refusal};

/// What is known of the token in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It is alive and ends after this time; `None` for one without an end.
    Alive {
        /// The time left.
        left: Option<Duration>,
        /// Whether it can be renewed.
        renewable: bool,
    },
    /// It may not look at itself: it is dead, or has no default policy.
    Unknown,
    /// A proxy adds it, so it is not for the module to look at.
    OfProxy,
}

#[derive(Deserialize)]
struct CapabilitiesAnswer {
    data: CapabilitiesPart,
}

#[derive(Deserialize)]
struct CapabilitiesPart {
    capabilities: Vec<String>,
}

#[derive(Deserialize)]
struct AclAnswer {
    data: Acl,
}

#[derive(Deserialize)]
struct Acl {
    #[serde(default)]
    exact_paths: HashMap<String, AclPart>,
    #[serde(default)]
    glob_paths: HashMap<String, AclPart>,
}

#[derive(Deserialize)]
struct AclPart {
    #[serde(default)]
    capabilities: Vec<String>,
}

impl Client {
    /// Asks every address for its health.
    pub async fn nodes(&self) -> Vec<Node> {
        self.token_manager().cluster().health_of_all().await
    }

    /// Asks how long the token in use lives. Obtains one first if there is none.
    ///
    /// # Errors
    /// When no token can be obtained, or Vault does not answer.
    pub async fn token_state(&self) -> Result<TokenState, VaultError> {
        let manager = self.token_manager();
        let active = manager.token().await?;
        if active.token.is_none() {
            return Ok(TokenState::OfProxy);
        }
        match lease::look_up(manager.cluster(), manager.headers(&active)).await? {
            Lookup::Alive(lease, _) => {
                Ok(TokenState::Alive { left: lease.left(), renewable: lease.renewable })
            }
            Lookup::Refused(Refusal { status: Some(403), .. }) => Ok(TokenState::Unknown),
            Lookup::Refused(Refusal { text, .. }) => Err(VaultError::Unexpected(format!(
                "Vault does not let the token look itself up: {text}"
            ))),
        }
    }

    /// Which paths the token in use may read, as its policies have them.
    ///
    /// Vault's own web interface asks this too; it is part of the policy `default`.
    ///
    /// # Errors
    /// When the token may not ask, or Vault does not answer.
    pub async fn readable_paths(&self) -> Result<Vec<String>, VaultError> {
        let request = Request::get(RequestKind::Other, "sys/internal/ui/resultant-acl");
        let answer = self.send(&request).await?;
        let Ok(AclAnswer { data }) = serde_json::from_slice(&answer.body) else {
            let status = answer.status.as_u16();
            return Err(VaultError::Unexpected(format!(
                "Vault answered {status} when asked what the token's policies are"
            )));
        };
        let reads = |able: &AclPart| able.capabilities.iter().any(|one| one == "read");
        let exact = data.exact_paths.into_iter().filter(|(_, able)| reads(able));
        let glob = data.glob_paths.into_iter().filter(|(_, able)| reads(able));
        let mut paths: Vec<String> =
            exact.map(|(path, _)| path).chain(glob.map(|(path, _)| format!("{path}*"))).collect();
        paths.sort();
        Ok(paths)
    }

    /// What the token in use may do with a path; its mount comes first.
    ///
    /// API: <https://developer.hashicorp.com/vault/api-docs/system/capabilities-self>
    ///
    /// # Errors
    /// When the token may not ask, or Vault does not answer.
    pub async fn capabilities(&self, path: &str) -> Result<Vec<String>, VaultError> {
        let body = json!({ "paths": [path] });
        let request = Request::post(RequestKind::Other, "sys/capabilities-self", Some(&body));
        let answer = self.send(&request).await?;
        match serde_json::from_slice::<CapabilitiesAnswer>(&answer.body) {
            Ok(answer) => Ok(answer.data.capabilities),
            Err(_) => Err(VaultError::Unexpected(format!(
                "Vault answered {} when asked what the token may do{}",
                answer.status.as_u16(),
                quote(&answer.body)
            ))),
        }
    }
}
