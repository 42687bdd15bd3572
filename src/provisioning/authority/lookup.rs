//! What the homeserver says of an account.

use crate::homeserver::{self, Profile};

/// What to do where a proxy hides the admin API.
pub const ADMIN_API_HIDDEN: &str = "/_synapse/admin cannot be reached at this address, as when a proxy hides it: \
                      give the homeserver's own";

/// What the homeserver says of an account.
pub struct AccountLookup {
    /// Whether it exists; `None` if the homeserver does not tell without an admin token.
    pub exists: Option<bool>,
    /// The homeserver's clock, in seconds since 1970.
    pub date: Option<u64>,
    /// What others see of it, as far as the homeserver tells.
    pub profile: Profile,
    /// What only an administrator is told.
    pub details: Option<AccountDetails>,
    /// Whether the homeserver has an account of the name that Matrix Authentication Service has
    /// not; `None` if that is not known.
    pub is_at_homeserver: Option<bool>,
}

/// What an administrator is told of an account.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct AccountDetails {
    /// When it was created, in seconds since 1970.
    pub creation_ts: u64,
    /// Whether it was closed.
    pub is_deactivated: bool,
    /// Whether it was closed, and what others see of it removed.
    pub is_erased: bool,
    /// Whether it is locked for the time being.
    pub is_locked: bool,
    /// Whether it is suspended: it may log in and read, and do little else.
    pub is_suspended: bool,
}

impl From<&homeserver::Account> for AccountDetails {
    fn from(account: &homeserver::Account) -> Self {
        Self {
            creation_ts: account.creation_ts,
            is_deactivated: account.is_deactivated,
            is_erased: account.is_erased,
            is_locked: account.is_locked,
            is_suspended: account.is_suspended,
        }
    }
}

impl AccountLookup {
    /// When it was created, in seconds since 1970.
    pub fn creation_ts(&self) -> Option<u64> {
        self.details.as_ref().map(|account| account.creation_ts)
    }
}
