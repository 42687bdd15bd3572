//! Lists the accounts that the engine has.

use super::super::error::ProvisioningError;
use super::super::list::{ListedUser, State};
use super::super::provisioner::Provisioner;
use super::super::retry::retry;
use crate::user_id::UserId;
use crate::vault::SecretsEngine;

impl Provisioner {
    /// The accounts of our server that the engine has, by id.
    pub(crate) async fn list_users_of(
        &self,
        engine: &SecretsEngine<'_>,
    ) -> Result<Vec<ListedUser>, ProvisioningError> {
        let action = format!("list {}/config/user", engine.mount());
        let ids = retry(self.deadline(), &action, || engine.users()).await?;
        let is_ours = |id: &String| UserId::parse(id, self.server_name()).is_ok();
        let listed =
            |matrix_user_id| ListedUser { matrix_user_id, state: State::Ready, external_id: None };
        let mut users: Vec<ListedUser> = ids.into_iter().filter(is_ours).map(listed).collect();
        users.sort_by(|a, b| a.matrix_user_id.cmp(&b.matrix_user_id));
        Ok(users)
    }
}
