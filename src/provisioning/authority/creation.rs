//! Creating an account so that it is known whose it is.

use secrecy::SecretString;

use super::super::account::creation_method::CreatedAs;
use super::super::error::ProvisioningError;
use crate::homeserver::{Profile, Session};

/// What an account is created with.
pub struct NewAccount<'a> {
    /// Its password, where it gets one.
    pub password: &'a SecretString,
    /// What it is created as, where that can be said.
    pub created_as: &'a CreatedAs,
    /// What others see it called.
    pub display_name: Option<&'a str>,
    /// Its picture, if a homeserver has it already.
    pub avatar_url: Option<&'a str>,
    /// Whether the registration is to log in, because there is no other way to a token.
    pub with_session: bool,
    /// Whether an account is taken that others have created.
    pub adopt: bool,
    /// When an account counts as ours that the homeserver has and Matrix Authentication Service has
    /// not.
    pub left_over: LeftOver,
}

/// When an account counts as ours that the homeserver has and Matrix Authentication Service (MAS)
/// has not.
///
/// MAS creates the account at the homeserver first, and stores it only then. If the client that
/// wanted the account has disconnected by then, MAS stores nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOver {
    /// Never: nothing shows that it is ours.
    Never,
    /// If an answer to this call gets lost: the homeserver had none just before.
    OfThisCall,
    /// An earlier call has left it.
    OfEarlierCall,
}

/// How the creation of an account ended.
pub struct Creation {
    /// Whose account it is.
    pub outcome: Result<Created, ProvisioningError>,
    /// A session that came with the creation.
    pub session: Option<Box<Session>>,
    /// Whether the account may have been created by us although the outcome does not say so: an
    /// answer got lost.
    pub may_have_applied: bool,
}

/// Whose account it is.
pub enum Created {
    /// It was not there before.
    Ours {
        /// What others see of it.
        profile: Profile,
        /// When it was created, in seconds since 1970, if the homeserver said so.
        creation_ts: Option<u64>,
    },
    /// It was there already, and nothing about it has been changed.
    AlreadyThere,
}

/// What shows that somebody else created the account.
pub enum Evidence {
    /// Nothing: nobody has used it, and nobody else can any more.
    None,
    /// Something that is said here.
    Of(String),
    /// It cannot be found out.
    Unknown,
}
