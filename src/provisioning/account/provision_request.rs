//! The account that a caller wants.

use super::super::error::ProvisioningError;
use super::creation_method::CreatedAs;

/// Longest external id that is taken, in bytes.
const LONGEST_EXTERNAL_ID: usize = 1024;

/// The account that is wanted.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
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
    /// Whether the account may replace its cross-signing keys for a while.
    pub reset_cross_signing: bool,
    /// Whether to log in.
    pub with_token: bool,
}

impl ProvisionRequest {
    /// What the account is to be created as.
    #[must_use]
    pub fn wanted(&self) -> CreatedAs {
        CreatedAs { is_admin: self.is_admin, user_type: self.user_type.clone() }
    }

    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// When the external id is empty or too long.
    pub fn check(&self) -> Result<(), ProvisioningError> {
        let Some(external_id) = &self.external_id else { return Ok(()) };
        if external_id.is_empty() || external_id.len() > LONGEST_EXTERNAL_ID {
            let message =
                format!("must have from 1 to {LONGEST_EXTERNAL_ID} bytes, or be left out");
            return Err(ProvisioningError::of_key("external_id", message));
        }
        Ok(())
    }
}
