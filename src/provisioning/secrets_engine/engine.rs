//! The secrets engine, and where a user is in it.

use super::super::error::{ErrorKind, ProvisioningError};
use super::super::provisioner::Provisioner;
use crate::user_id::UserId;
use crate::vault::{EngineUser, SecretsEngine};

impl Provisioner {
    /// The secrets engine, if it has the secrets.
    pub(crate) fn secrets_engine(&self) -> Option<SecretsEngine<'_>> {
        self.config.secrets_engine.then(|| SecretsEngine::new(self.kv.client()))
    }

    /// The same, where there has to be one.
    ///
    /// # Errors
    /// When the configuration names none.
    pub(crate) fn require_secrets_engine(&self) -> Result<SecretsEngine<'_>, ProvisioningError> {
        self.secrets_engine().ok_or_else(|| {
            ProvisioningError::of_key("engine", "required: the mount of the secrets engine")
        })
    }
}

/// Where a user is in the engine.
///
/// # Errors
/// When the path would be another's.
pub fn place_of(user_id: &UserId) -> Result<EngineUser, ProvisioningError> {
    EngineUser::of(user_id).ok_or_else(|| {
        ProvisioningError::of_key(
            "user_id",
            format!("the secrets engine has no path for {user_id}: a part of it is empty or dots"),
        )
    })
}

/// What is not done where the engine has the secrets.
pub fn not_with_the_engine(what: &str, advice: &str) -> ProvisioningError {
    let message = format!("{what} is not possible where the secrets engine has the secrets");
    ProvisioningError::new(ErrorKind::Configuration, message).advise(advice)
}

/// A user that the engine does not have.
pub fn missing(
    engine: &SecretsEngine<'_>,
    user_id: &UserId,
    user: &EngineUser,
) -> ProvisioningError {
    let message = format!("{}/config/user/{user} is not there", engine.mount());
    ProvisioningError { status: Some(404), ..ProvisioningError::new(ErrorKind::Vault, message) }
        .advise(format!("`synapse-vault --engine {} provision {user_id}`", engine.mount()))
}
