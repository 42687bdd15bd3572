//! Credentials of ours, as they are now.

use crate::credential::Credential;
use crate::notice::Notices;

/// A credential of ours, and where it is said that it cannot be read.
#[derive(Clone, Copy)]
pub struct CredentialSource<'a> {
    /// The credential.
    pub credential: &'a Credential,
    /// Where to say that its file cannot be read.
    pub notices: &'a Notices,
}
