//! The verbs, from the core's results to Python's.

use std::sync::Arc;

use secrecy::SecretString;

use super::results::{
    Finding, KeptToken, Lease, ListedUser, Login, Profile, ProvisionedUser, RevokedUser,
    RotatedSecret,
};
use synapse_vault_auth_provider_core::provisioning::{
    self, KeepOptions, LoginOptions, ProvisionRequest, ProvisioningError, RevokeOptions,
};

/// What does the work.
pub type Core = Arc<provisioning::Provisioner>;
/// How a verb ended.
pub type Finished<T> = Result<T, ProvisioningError>;

pub async fn provision_user(core: Core, request: ProvisionRequest) -> Finished<ProvisionedUser> {
    let user = core.provision_user(&request).await?;
    Ok(ProvisionedUser::of(user, core.server_name()))
}

pub async fn login(core: Core, user_id: String, options: LoginOptions) -> Finished<Login> {
    core.login(&user_id, &options).await.map(Login::from)
}

/// Nothing is `None`, where `()` would be an empty tuple.
pub async fn logout(core: Core, access_token: SecretString) -> Finished<Option<()>> {
    core.logout(&access_token).await.map(|()| None)
}

pub async fn keep_token(core: Core, user_id: String, options: KeepOptions) -> Finished<KeptToken> {
    core.keep_token(&user_id, &options).await.map(KeptToken::from)
}

pub async fn rotate_secret(core: Core, user_id: String, dry_run: bool) -> Finished<RotatedSecret> {
    core.rotate_secret(&user_id, dry_run).await.map(RotatedSecret::from)
}

pub async fn revoke_user(
    core: Core,
    user_id: String,
    options: RevokeOptions,
) -> Finished<RevokedUser> {
    core.revoke_user(&user_id, options).await.map(RevokedUser::from)
}

pub async fn update_profile(
    core: Core,
    user_id: String,
    display_name: Option<String>,
    avatar: Option<String>,
    access_token: Option<SecretString>,
) -> Finished<Profile> {
    let (display_name, avatar) = (display_name.as_deref(), avatar.as_deref());
    core.update_profile(&user_id, display_name, avatar, access_token.as_ref())
        .await
        .map(Profile::from)
}

pub async fn list_users(core: Core) -> Finished<Vec<ListedUser>> {
    Ok(core.list_users().await?.into_iter().map(ListedUser::from).collect())
}

pub async fn diagnose(core: Core, user_id: Option<String>) -> Finished<Vec<Finding>> {
    Ok(core.diagnose(user_id.as_deref()).await.into_iter().map(Finding::from).collect())
}

pub async fn read_lease(core: Core, user_id: String) -> Finished<Lease> {
    core.read_lease(&user_id).await.map(Lease::from)
}

pub async fn renew_lease(core: Core, lease_id: String) -> Finished<f64> {
    core.renew_lease(&lease_id).await.map(|duration| duration.as_secs_f64())
}

pub async fn revoke_lease(core: Core, lease_id: String) -> Finished<Option<()>> {
    core.revoke_lease(&lease_id).await.map(|()| None)
}
