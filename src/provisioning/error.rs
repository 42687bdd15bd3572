//! Why a verb could not do what it was asked to, and what to do about it.

use std::time::Duration;

use crate::homeserver::HomeserverError;
use crate::homeserver::mas::MasError;
use crate::random::RandomError;
use crate::retry::Transient;
use crate::vault::VaultError;

/// What kind of error it is: what a caller may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Something that was given is wrong or missing.
    Configuration,
    /// The homeserver said no.
    Homeserver,
    /// Vault said no.
    Vault,
    /// A server did not answer, or not in time.
    Unreachable,
    /// The account or its entry in Vault is somebody else's.
    Conflict,
    /// An account was left half-made, and nothing tells whether it is ours.
    Undecided,
}

/// Why a verb could not do what it was asked to. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisioningError {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The homeserver's code, such as `M_FORBIDDEN`.
    pub errcode: Option<String>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The key or the parameter that is wrong.
    pub key: Option<String>,
    /// Whether nothing accepted the connection, for as long as a server takes to restart.
    pub is_unconnected: bool,
}

impl From<RandomError> for ProvisioningError {
    fn from(error: RandomError) -> Self {
        Self::new(ErrorKind::Configuration, error.to_string())
    }
}

impl ProvisioningError {
    /// Something happened, and nothing more is known of it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            advice: None,
            status: None,
            errcode: None,
            retry_after: None,
            key: None,
            is_unconnected: false,
        }
    }

    /// A parameter or a key is wrong.
    pub fn of_key(key: impl Into<String>, message: impl AsRef<str>) -> Self {
        let key = key.into();
        let message = format!("{key}: {}", message.as_ref());
        Self { key: Some(key), ..Self::new(ErrorKind::Configuration, message) }
    }

    /// Whether a server understood what was wanted, and will not do it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.status
            .is_some_and(|status| matches!(status, 400..=499) && !matches!(status, 408 | 429))
    }

    /// Whether asking again would end the same.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_refusal() || self.kind == ErrorKind::Configuration
    }

    /// With a word on what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What Matrix Authentication Service answered when we wanted to do something, such as "create
    /// @a:b".
    #[must_use]
    pub fn of_mas(error: &MasError, action: &str) -> Self {
        let (kind, advice) = match error {
            MasError::NoAnswer { .. } => (
                ErrorKind::Unreachable,
                Some("check mas_admin_api, and that Matrix Authentication Service runs"),
            ),
            MasError::ClientRefused { .. } => {
                (ErrorKind::Homeserver, Some("check mas_client_id and mas_client_secret"))
            }
            MasError::Refused { status: 403, message, .. } if !message.contains("Password") => (
                ErrorKind::Homeserver,
                Some("mas_client_id must be one of policy.data.admin_clients"),
            ),
            MasError::Refused { status: 404, message, .. } if message.is_empty() => (
                ErrorKind::Homeserver,
                Some("check mas_admin_api: that listener needs the resource adminapi"),
            ),
            MasError::Unexpected { .. } => (ErrorKind::Homeserver, Some("check mas_admin_api")),
            MasError::Refused { .. } => (ErrorKind::Homeserver, None),
        };
        let status = match error {
            MasError::Refused { status, .. } | MasError::ClientRefused { status, .. } => {
                Some(*status)
            }
            MasError::NoAnswer { .. } | MasError::Unexpected { .. } => None,
        };
        Self {
            status,
            retry_after: error.retry_after(),
            advice: advice.map(str::to_owned),
            ..Self::new(kind, format!("cannot {action}: {error}"))
        }
    }

    /// What Vault answered when we wanted to do something, such as "read secret/users/@a:b".
    #[must_use]
    pub fn of_vault(error: &VaultError, action: &str) -> Self {
        let (kind, status, advice) = match error {
            VaultError::NoAnswer { .. } => {
                (ErrorKind::Unreachable, None, "check vault_url, and that Vault runs")
            }
            VaultError::Unavailable { status, .. } => {
                (ErrorKind::Vault, Some(*status), "try again later; see Vault's own log")
            }
            VaultError::Denied { .. } => (
                ErrorKind::Vault,
                Some(403),
                "`synapse-vault policy --for provisioning` prints the policy that is needed",
            ),
            VaultError::TokenInvalid { .. } | VaultError::TokenRefused { .. } => (
                ErrorKind::Vault,
                Some(403),
                "give another token (VAULT_TOKEN), a token file, or vault_auth",
            ),
            VaultError::LoginRefused { status, .. } => {
                (ErrorKind::Vault, Some(*status), "check vault_auth")
            }
            VaultError::ForeignAnswer { .. } | VaultError::WrongAddress(_) => {
                (ErrorKind::Vault, None, "check vault_url")
            }
            VaultError::Refused { status, .. } => (ErrorKind::Vault, Some(*status), ""),
            VaultError::Unexpected(_) => (ErrorKind::Vault, None, ""),
        };
        let message = match error {
            VaultError::Denied { quote } => {
                format!("cannot {action}: no policy of the token allows it: 403{quote}")
            }
            // What the error itself advises is for the homeserver's administrator.
            VaultError::TokenInvalid { .. } => {
                format!("cannot {action}: Vault does not accept the token")
            }
            VaultError::TokenRefused { .. } => format!(
                "cannot {action}: Vault does not accept the token: it is unknown or has expired, is \
                 bound to other addresses (token_bound_cidrs), or belongs to another namespace"
            ),
            VaultError::LoginRefused { method, status, quote } => {
                format!("cannot {action}: Vault refuses the {method} login: {status}{quote}")
            }
            error => format!("cannot {action}: {error}"),
        };
        Self {
            status,
            retry_after: error.retry_after(),
            advice: (!advice.is_empty()).then(|| advice.to_owned()),
            ..Self::new(kind, message)
        }
    }

    /// What the homeserver answered when we wanted to do something, such as "log @a:b in".
    #[must_use]
    pub fn of_homeserver(error: &HomeserverError, action: &str) -> Self {
        let kind = match error {
            HomeserverError::NoAnswer { .. } => ErrorKind::Unreachable,
            _ => ErrorKind::Homeserver,
        };
        let advice = match (error.status(), error.errcode()) {
            (_, Some("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN")) => {
                Some("the access token is not, or no longer, valid: get a new one")
            }
            (_, Some("M_LIMIT_EXCEEDED")) | (Some(429), _) => Some(
                "the homeserver limits how often this may be done: wait, give a longer timeout, \
                 or raise rc_login, rc_registration or the account's own limits there",
            ),
            (None, _) => Some("check the homeserver's URL, and that it runs"),
            _ => None,
        };
        Self {
            status: error.status(),
            errcode: error.errcode().map(str::to_owned),
            retry_after: error.retry_after(),
            is_unconnected: error.is_unconnected(),
            advice: advice.map(str::to_owned),
            ..Self::new(kind, format!("cannot {action}: {error}"))
        }
    }
}

impl std::fmt::Display for ProvisioningError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProvisioningError {}
