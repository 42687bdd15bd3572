//! How to log in.

/// How to log in.
#[derive(Clone, Debug, Default)]
pub struct LoginOptions {
    /// The device to log in; a new one by default.
    pub device_id: Option<String>,
    /// What others see the device called.
    pub device_name: Option<String>,
    /// Whether all other devices are logged out.
    pub logout_others: bool,
}
