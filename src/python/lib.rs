//! The extension module `synapse_vault_auth_provider._core`: the boundary to Python, and the only
//! crate that knows `PyO3`.

mod allocator;
mod conversion;
mod counts;
mod functions;
mod mas_results;
mod mas_service;
mod outcome;
mod provisioning;
mod runtime;
mod service;
mod settings;

use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::counts::Counts;
    #[pymodule_export]
    use super::functions::{
        duration_seconds, is_token_hash, parse_user_id, registration_mac, token_hash,
        verify_token_hash,
    };
    #[pymodule_export]
    use super::mas_results::{MasAnswer, MasLogin, MasLogout, MasSettings, OpenedSession};
    #[pymodule_export]
    use super::mas_service::MasService;
    #[pymodule_export]
    use super::outcome::Outcome;
    #[pymodule_export]
    use super::provisioning::{
        Finding, KeptToken, Lease, ListedUser, Login, Profile, ProvisionedUser, Provisioner,
        ProvisioningSettings, RevokedUser, RotatedSecret,
    };
    #[pymodule_export]
    use super::service::{Health, LoginService};
    #[pymodule_export]
    use super::settings::{LackingError, Settings, SettingsError};

    /// The version of the package, from `Cargo.toml`.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::runtime::end_at_exit(module.py())?;
        module.add("OUTCOMES", super::outcome::outcomes())?;
        module.add("VAULT_REQUEST_BUCKETS", super::counts::buckets())
    }
}
