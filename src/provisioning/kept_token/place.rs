//! Where a token is kept: an entry of its own in an engine that has check-and-set.

use super::super::error::{ErrorKind, ProvisioningError};
use super::super::provisioner::Provisioner;
use super::super::retry::retry;
use crate::retry::Deadline;
use crate::vault::{Engine, FullPath, Kv2, Located, Version};

/// The parameter with the path.
const KEEP_IN: &str = "keep_in";

/// Where a token is kept.
pub struct Place {
    /// The engine.
    pub kv: Kv2,
    /// The entry's path below the mount.
    pub below: String,
    /// The entry's path with the mount in front.
    pub path: String,
}

/// Reads the path as somebody writes it.
///
/// # Errors
/// What is not allowed in it.
pub fn parse(keep_in: &str) -> Result<FullPath, ProvisioningError> {
    FullPath::parse(keep_in).map_err(|problem| ProvisioningError::of_key(KEEP_IN, problem))
}

impl Provisioner {
    /// Finds the entry for a token.
    ///
    /// # Errors
    /// When there is no engine that has check-and-set, or the path is among those of users' secrets.
    pub(super) async fn place_of(
        &self,
        path: &FullPath,
        deadline: Deadline,
    ) -> Result<Place, ProvisioningError> {
        let action = format!("ask Vault what is mounted at {path}");
        let located = retry(deadline, &action, || self.kv.client().locate(path)).await?;
        let Some(Located { mount, below, engine }) = located else {
            return Err(ProvisioningError::new(
                ErrorKind::Vault,
                format!(
                    "Vault does not say what is mounted at {path}: nothing is, or no policy of the \
                     token covers the path"
                ),
            )
            .advise(format!(
                "give the path with its mount in front, as for `vault kv get`; `synapse-vault \
                 policy --for-user USER --keep-in {path}` prints the policy that is needed"
            )));
        };
        if below.is_empty() {
            let problem = format!("{mount} is the mount itself: name an entry below it");
            return Err(ProvisioningError::of_key(KEEP_IN, problem));
        }
        match engine {
            Engine::Kv(Version::V2) => {}
            Engine::Kv(Version::V1) => {
                let problem = format!(
                    "the KV engine at {mount} is of version 1, which has no check-and-set; a kept \
                     token needs version 2"
                );
                return Err(ProvisioningError::of_key(KEEP_IN, problem).advise(format!(
                    "name a path in another engine, or run `vault kv enable-versioning {mount}`"
                )));
            }
            Engine::Other(engine) => {
                let problem = format!("{mount} is an engine of the type {engine}, and not KV");
                return Err(ProvisioningError::of_key(KEEP_IN, problem));
            }
        }
        let users = &self.config.vault;
        if mount == users.mount && users.path_root.covers(&below) {
            let problem = format!(
                "{path} is where users' secrets are ({mount}/{}): whoever may read a secret there \
                 can log in",
                users.path_root
            );
            return Err(ProvisioningError::of_key(KEEP_IN, problem)
                .advise("keep the token at a path of its own, such as secret/matrix-tokens/bot"));
        }
        Ok(Place { kv: self.kv.at(mount), below, path: path.to_string() })
    }
}
