//! Which account is meant.

use crate::user_id::UserId;

/// An account: its id, and where its entry lies.
#[derive(Clone, Debug)]
pub struct AccountId {
    /// Its id.
    pub user_id: UserId,
    /// The path of its entry as an administrator would write it, mount first.
    pub path: String,
}
