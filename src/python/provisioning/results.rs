//! What the verbs return, as Python sees it.

use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use synapse_vault_auth_provider_core::homeserver::{AccessToken, Session};
use synapse_vault_auth_provider_core::provisioning;

/// Declares a class of read-only attributes, which `as_dict` has as well.
macro_rules! result_class {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? } shows $($shown:ident),+) => {
        $(#[$doc])*
        #[pyclass(frozen, get_all, module = "synapse_vault_auth_provider.provisioning")]
        // The names are those that users of Vault and Matrix know.
        #[allow(clippy::struct_field_names)]
        pub struct $name { $($field: $type),+ }

        #[pymethods]
        impl $name {
            fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let fields = PyDict::new(py);
                $(fields.set_item(stringify!($field), self.$field.clone())?;)+
                Ok(fields)
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let mut shown = Vec::new();
                $(shown.push(argument(py, stringify!($shown), self.$shown.clone())?);)+
                Ok(format!("{}({})", stringify!($name), shown.join(", ")))
            }
        }
    };
}

result_class! {
    /// An account that logs in through Vault.
    ProvisionedUser {
        matrix_user_id: String,
        access_token: Option<String>,
        device_id: Option<String>,
        expires_in: Option<f64>,
        home_server: String,
        already_exists: bool,
        cross_signing_reset_until: Option<String>,
        warnings: Vec<String>,
    } shows matrix_user_id, device_id, already_exists
}

result_class! {
    /// A session.
    Login {
        matrix_user_id: String,
        access_token: String,
        device_id: String,
        expires_in: Option<f64>,
        home_server: String,
    } shows matrix_user_id, device_id
}

result_class! {
    /// A token that is kept in Vault.
    KeptToken {
        matrix_user_id: String,
        path: String,
        version: u32,
        device_id: Option<String>,
        homeserver_url: Option<String>,
        expires_at: Option<String>,
        session_id: Option<String>,
        is_new: bool,
        warnings: Vec<String>,
    } shows matrix_user_id, path, version, device_id, is_new
}

result_class! {
    /// An access token that ends with its lease.
    Lease {
        matrix_user_id: String,
        access_token: String,
        device_id: String,
        lease_id: String,
        duration: f64,
        renewable: bool,
        homeserver_url: String,
    } shows matrix_user_id, device_id, duration
}

result_class! {
    /// A secret that was replaced.
    RotatedSecret {
        matrix_user_id: String,
        version: Option<u32>,
        created_time: Option<String>,
        former_kept: bool,
        warnings: Vec<String>,
    } shows matrix_user_id, version, created_time
}

result_class! {
    /// An account that nobody can log in to through Vault any more.
    RevokedUser {
        matrix_user_id: String,
        secret_removed: bool,
        sessions_ended: bool,
        sessions_end_at: Option<String>,
        deactivated: bool,
        warnings: Vec<String>,
    } shows matrix_user_id, secret_removed, sessions_ended, deactivated
}

result_class! {
    /// What was set of a profile.
    Profile {
        matrix_user_id: String,
        display_name: Option<String>,
        avatar_url: Option<String>,
    } shows matrix_user_id, display_name, avatar_url
}

result_class! {
    /// An account that Vault holds something for.
    ListedUser {
        matrix_user_id: String,
        state: String,
        external_id: Option<String>,
    } shows matrix_user_id, state, external_id
}

result_class! {
    /// What one check found of what a login needs.
    Finding {
        check: String,
        status: String,
        detail: String,
        advice: Option<String>,
    } shows check, status, detail, advice
}

impl ProvisionedUser {
    pub fn of(user: provisioning::ProvisionedUser, home_server: &str) -> Self {
        let (access_token, device_id, expires_in) = match user.token {
            Some(token) => {
                (Some(text(&token.access_token)), token.device_id, seconds(token.expires_in))
            }
            None => (None, None, None),
        };
        Self {
            matrix_user_id: user.matrix_user_id,
            access_token,
            device_id,
            expires_in,
            home_server: home_server.to_owned(),
            already_exists: user.already_exists,
            cross_signing_reset_until: user.cross_signing_reset_until,
            warnings: user.warnings,
        }
    }
}

impl From<Session> for Login {
    fn from(session: Session) -> Self {
        Self {
            access_token: text(&session.access_token),
            matrix_user_id: session.user_id,
            device_id: session.device_id,
            expires_in: seconds(session.expires_in),
            home_server: session.home_server,
        }
    }
}

impl From<provisioning::KeptToken> for KeptToken {
    fn from(kept: provisioning::KeptToken) -> Self {
        Self {
            matrix_user_id: kept.matrix_user_id,
            path: kept.path,
            version: kept.version,
            device_id: kept.device_id,
            homeserver_url: kept.homeserver_url,
            expires_at: kept.expires_at,
            session_id: kept.session_id,
            is_new: kept.is_new,
            warnings: kept.warnings,
        }
    }
}

impl From<provisioning::EngineLease> for Lease {
    fn from(lease: provisioning::EngineLease) -> Self {
        Self {
            access_token: text(&lease.access_token),
            matrix_user_id: lease.matrix_user_id,
            device_id: lease.device_id,
            lease_id: lease.lease_id,
            duration: lease.duration.as_secs_f64(),
            renewable: lease.renewable,
            homeserver_url: lease.homeserver_url,
        }
    }
}

impl From<provisioning::RotatedSecret> for RotatedSecret {
    fn from(rotated: provisioning::RotatedSecret) -> Self {
        let provisioning::RotatedSecret {
            matrix_user_id,
            version,
            created_time,
            former_kept,
            warnings,
        } = rotated;
        Self { matrix_user_id, version, created_time, former_kept, warnings }
    }
}

impl From<provisioning::RevokedUser> for RevokedUser {
    fn from(revoked: provisioning::RevokedUser) -> Self {
        Self {
            matrix_user_id: revoked.matrix_user_id,
            secret_removed: revoked.secret_removed,
            sessions_ended: revoked.sessions_ended,
            sessions_end_at: revoked.sessions_end_at,
            deactivated: revoked.deactivated,
            warnings: revoked.warnings,
        }
    }
}

impl From<provisioning::Profile> for Profile {
    fn from(profile: provisioning::Profile) -> Self {
        let provisioning::Profile { matrix_user_id, display_name, avatar_url } = profile;
        Self { matrix_user_id, display_name, avatar_url }
    }
}

impl From<provisioning::ListedUser> for ListedUser {
    fn from(user: provisioning::ListedUser) -> Self {
        Self {
            matrix_user_id: user.matrix_user_id,
            state: user.state.as_str().to_owned(),
            external_id: user.external_id,
        }
    }
}

impl From<provisioning::Finding> for Finding {
    fn from(finding: provisioning::Finding) -> Self {
        Self {
            check: finding.check,
            status: finding.status.as_str().to_owned(),
            detail: finding.detail,
            advice: finding.advice,
        }
    }
}

/// An argument as Python writes it.
fn argument<'py>(py: Python<'py>, name: &str, value: impl IntoPyObject<'py>) -> PyResult<String> {
    Ok(format!("{name}={}", value.into_bound_py_any(py)?.repr()?))
}

fn text(token: &AccessToken) -> String {
    use secrecy::ExposeSecret;

    token.secret().expose_secret().to_owned()
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}
