//! Creates an account whose secret the secrets engine has, or finds the one that is there.
//!
//! No account is taken over. The account is created first, and ours only if it did not exist
//! before; then the engine is given the user, by a write that changes nothing if it has the user
//! already. The other way round, an account that somebody else registers in between would be one
//! that the engine logs in to. A call that crashes in between leaves an account that the engine
//! does not know, which takes `adopt` to go on with.

use std::time::Duration;

use super::super::account::attributes::Attributes;
use super::super::account::avatar::Avatar;
use super::super::account::conflict::{deactivated, not_ours, overtaken};
use super::super::account::creation_method::{CreatedAs, CreationAttempt};
use super::super::account::provision_request::ProvisionRequest;
use super::super::account::sessions::PasswordLogin;
use super::super::authority::{Created, Creation, LeftOver, NewAccount, SetOutcome, no_user_types};
use super::super::error::ProvisioningError;
use super::super::operation::Operation;
use super::super::provision::{ProvisionedUser, Token};
use super::super::provisioner::Provisioner;
use super::super::retry::retry;
use super::engine::{not_with_the_engine, place_of};
use super::leases::EngineLease;
use crate::homeserver::Profile;
use crate::random::new_secret;
use crate::vault::{EngineUser, SecretsEngine};

/// How often the engine is looked at for a user whose account exists: another call may just have
/// created it.
const LOOKS: u32 = 5;

/// How long is waited before that.
const LOOK_INTERVAL: Duration = Duration::from_millis(150);

/// An account that the engine has.
struct Claimed {
    already_exists: bool,
    /// What it was created as; `None` if others created it, or an earlier call.
    created_as: Option<CreatedAs>,
    profile: Profile,
}

impl Provisioner {
    /// Creates an account whose secret the engine has, or finds the one that is there.
    ///
    /// # Errors
    /// A conflict for an account that is somebody else's, and what one of the servers has against
    /// it.
    pub(crate) async fn provision_in(
        &self,
        engine: &SecretsEngine<'_>,
        request: &ProvisionRequest,
    ) -> Result<ProvisionedUser, ProvisioningError> {
        if request.external_id.is_some() {
            return Err(not_with_the_engine("external_id", "leave it out"));
        }
        let mut operation = self.operation_for_new(&request.user_id)?;
        let user = place_of(&operation.account.user_id)?;
        operation.account.path = format!("{}/config/user/{user}", engine.mount());
        let avatar = Avatar::read(operation.remote.deadline, request.avatar.as_deref()).await?;
        operation.check_authority("to create accounts").await?;
        let reset = self.cross_signing_reset(request, operation.remote.deadline).await?;
        if operation.accounts.is_mas() && request.user_type.is_some() {
            return Err(no_user_types());
        }
        let claimed = {
            let _lock = self.account_locks.lock(&operation.account.user_id).await;
            claim(engine, &user, &operation, request).await?
        };
        let cross_signing_reset_until = match &reset {
            Some(reset) => Some(reset.allow(&operation).await?),
            None => None,
        };
        let wanted = Attributes::wanted(request, &claimed.profile, avatar);
        let accounts = &operation.accounts;
        let mut attributes = accounts.left_to_set(wanted, claimed.created_as.as_ref())?;
        let is_set = matches!(accounts.set(&mut attributes).await?, SetOutcome::Set(_));
        let mut user = ProvisionedUser {
            matrix_user_id: operation.account.user_id.to_string(),
            token: None,
            already_exists: claimed.already_exists,
            cross_signing_reset_until,
            warnings: Vec::new(),
        };
        if is_set && !request.with_token {
            return Ok(user);
        }
        let lease = self
            .lease_of(engine, &operation.account.user_id, operation.remote.deadline)
            .await
            .map_err(|error| match error.advice {
                None => error.advise(format!(
                    "the account is there and the engine has its secret; the token alone is \
                     missing: does {}/config/homeserver/{} lead to the homeserver?",
                    engine.mount(),
                    self.server_name()
                )),
                Some(_) => error,
            })?;
        if !is_set {
            let set = attributes.set_by_owner(&operation.remote, &lease.access_token).await;
            if set.is_err() || !request.with_token {
                self.end_lease(&lease).await;
            }
            set?;
        }
        if request.with_token {
            let EngineLease { lease_id, access_token, device_id, duration, .. } = lease;
            user.warnings.push(format!(
                "the token ends with its lease in {} seconds, or with the token for Vault; \
                 `vault lease renew {lease_id}` keeps it",
                duration.as_secs()
            ));
            user.token = Some(Token {
                access_token,
                device_id: Some(device_id),
                expires_in: Some(duration),
            });
        }
        Ok(user)
    }
}

/// Makes sure that the account exists, is ours, and that the engine has it.
async fn claim(
    engine: &SecretsEngine<'_>,
    user: &EngineUser,
    operation: &Operation<'_>,
    request: &ProvisionRequest,
) -> Result<Claimed, ProvisioningError> {
    let Operation { account, accounts, remote, .. } = operation;
    let asking = format!("read {}", account.path);
    for _ in 0..LOOKS {
        let is_known = retry(remote.deadline, &asking, || engine.has_user(user)).await?;
        let found = accounts.look_up().await?;
        if let Some(details) = found.details.as_ref().filter(|details| details.is_deactivated) {
            return Err(deactivated(account, details.is_erased, accounts.place()));
        }
        let exists = found.exists == Some(true);
        if exists && is_known {
            let profile = found.profile;
            return Ok(Claimed { already_exists: true, created_as: None, profile });
        }
        if exists && !request.adopt {
            tokio::time::sleep(LOOK_INTERVAL.min(remote.deadline.left())).await;
            continue;
        }
        let created = if exists { None } else { create(operation, request).await? };
        let is_ours = created.is_some();
        if !is_ours && is_known && found.exists == Some(false) && !request.adopt {
            return Err(overtaken(account));
        }
        if !is_ours && !is_known && !request.adopt {
            tokio::time::sleep(LOOK_INTERVAL.min(remote.deadline.left())).await;
            continue;
        }
        if !is_known {
            let action = format!("write {}", account.path);
            retry(remote.deadline, &action, || engine.create_user(user)).await?;
        }
        let (created_as, profile) = match created {
            Some(profile) => (Some(attempt(operation, request).result()), profile),
            None => (None, found.profile),
        };
        return Ok(Claimed { already_exists: !is_ours, created_as, profile });
    }
    Err(not_ours(account, 0))
}

/// Creates the account; what others see of it if it was not there before.
async fn create(
    operation: &Operation<'_>,
    request: &ProvisionRequest,
) -> Result<Option<Profile>, ProvisioningError> {
    let (password, created_as) = (new_secret()?, request.wanted());
    let new = NewAccount {
        password: &password,
        created_as: &created_as,
        display_name: request.display_name.as_deref(),
        avatar_url: None,
        with_session: false,
        adopt: request.adopt,
        left_over: LeftOver::Never,
    };
    let Creation { outcome, session, may_have_applied } = operation.accounts.create(&new).await;
    operation.sessions.end(session).await;
    match outcome? {
        Created::Ours { profile, .. } => Ok(Some(profile)),
        // A request of ours may have created it, whose answer got lost: then this is its password.
        Created::AlreadyThere if may_have_applied => {
            match operation.sessions.try_password(&password).await? {
                PasswordLogin::LoggedIn(session) => {
                    operation.sessions.end(Some(session)).await;
                    Ok(Some(Profile::default()))
                }
                PasswordLogin::Refused | PasswordLogin::NotOffered => Ok(None),
            }
        }
        Created::AlreadyThere => Ok(None),
    }
}

fn attempt(operation: &Operation<'_>, request: &ProvisionRequest) -> CreationAttempt {
    CreationAttempt { method: operation.accounts.creation_method(), wanted: request.wanted() }
}
