//! One call that wants an account, and the account that it gets.

use secrecy::SecretString;

use super::account::creation_method::{CreatedAs, CreationAttempt};
use super::authority::{Authority, NewAccount};
use super::error::ProvisioningError;
use super::login::Freshness;
use super::patience::Patience;
use super::provisioner::Account;
use crate::homeserver::{Profile, Session};

/// The account that is wanted.
#[derive(Clone, Debug, Default)]
pub struct ProvisionRequest {
    /// Its id, or its localpart.
    pub user_id: String,
    /// What others see it called.
    pub display_name: Option<String>,
    /// Its picture: an `mxc://` URI, or the path of a file.
    pub avatar: Option<String>,
    /// Whether it is a server administrator. `false` leaves one that is.
    pub is_admin: bool,
    /// Its type, such as `bot`.
    pub user_type: Option<String>,
    /// The service's own id of the user.
    pub external_id: Option<String>,
    /// Whether an account is taken that others have created.
    pub adopt: bool,
    /// Whether to log in.
    pub with_token: bool,
}

/// One call of `provision_user`.
pub struct Operation<'a> {
    pub request: &'a ProvisionRequest,
    pub account: Account<'a>,
    pub authority: Authority,
    pub patience: Patience,
    /// Whether the homeserver has the module.
    pub has_flow: bool,
}

/// An account whose entry is in place.
pub struct ClaimedAccount {
    pub login_secret: SecretString,
    pub freshness: Freshness,
    pub already_exists: bool,
    /// What it was created as; `None` if not by us.
    pub created_as: Option<CreatedAs>,
    /// What others are known to see of it.
    pub profile: Profile,
    /// A session that came with its creation.
    pub session: Option<Box<Session>>,
}

impl Operation<'_> {
    pub fn wanted(&self) -> CreatedAs {
        CreatedAs { is_admin: self.request.is_admin, user_type: self.request.user_type.clone() }
    }

    pub fn new_account<'a>(
        &'a self,
        password: &'a SecretString,
        created_as: &'a CreatedAs,
    ) -> NewAccount<'a> {
        NewAccount {
            user_id: &self.account.user_id,
            password,
            created_as,
            display_name: self.request.display_name.as_deref(),
            with_session: self.request.with_token && !self.has_flow,
        }
    }

    /// What others see of an account that this call has just created: the registration takes a
    /// display name.
    pub fn profile_at_creation(&self) -> Profile {
        let display_name = self.request.display_name.clone();
        match self.authority.admin_token {
            None => Profile { display_name, avatar_url: None },
            Some(_) => Profile::default(),
        }
    }

    /// How this call creates an account.
    ///
    /// # Errors
    /// When it has no means to.
    pub fn attempt(&self) -> Result<CreationAttempt, ProvisioningError> {
        Ok(CreationAttempt { means: self.authority.means()?, wanted: self.wanted() })
    }
}
