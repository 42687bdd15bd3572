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
    pub details: Option<homeserver::Account>,
}

impl AccountLookup {
    /// When it was created, in seconds since 1970.
    pub fn creation_ts(&self) -> Option<u64> {
        self.details.as_ref().map(|account| account.creation_ts)
    }
}
