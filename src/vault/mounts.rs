//! What is mounted where, asked as the vendor's command line asks it.

use serde::Deserialize;

use super::request::{Request, RequestKind};
use super::transport::ServerResponse;
use super::{Mount, VaultError};

/// What Vault says of a mount to a token that may read something in it.
pub enum Mounted {
    /// The engine is mounted at this very path; its options name this version.
    Here(Version),
    /// The path belongs to the engine mounted at another one.
    Below(String),
    /// A 403 or 404: no such mount, a dead token, or one that may read nothing there.
    Unknown,
}

/// A version of the KV secrets engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One value for each path.
    V1,
    /// Values with versions and metadata.
    V2,
}

impl Mounted {
    /// The version of the engine at `mount`; `None` if Vault does not tell.
    ///
    /// # Errors
    /// When the path belongs to another mount.
    pub fn version(self, mount: &Mount) -> Result<Option<Version>, VaultError> {
        match self {
            Self::Here(version) => Ok(Some(version)),
            Self::Unknown => Ok(None),
            Self::Below(other) => Err(VaultError::Unexpected(format!(
                "Vault has no secrets engine at {mount} but one at {other}; \
                 check vault_kv_mount_point"
            ))),
        }
    }
}

#[derive(Deserialize)]
struct MountAnswer {
    data: MountPart,
}

#[derive(Deserialize)]
struct MountPart {
    path: String,
    options: Option<MountOptions>,
}

#[derive(Deserialize)]
struct MountOptions {
    version: Option<String>,
}

/// Asks what is mounted at `mount`.
///
/// The endpoint is meant for the vendor's own programs, as `kvPreflightVersionRequest` in Vault's
/// command line. API: <https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts>
pub fn request(mount: &Mount) -> Request {
    Request::get(RequestKind::Mount, &format!("sys/internal/ui/mounts/{mount}"))
}

/// Reads the answer to [`request`].
///
/// # Errors
/// [`VaultError::Unexpected`] for what Vault would not answer.
pub fn parse_response(mount: &Mount, answer: &ServerResponse) -> Result<Mounted, VaultError> {
    if answer.status.is_client_error() {
        return Ok(Mounted::Unknown);
    }
    let MountAnswer { data } = serde_json::from_slice(&answer.body).map_err(|_| {
        VaultError::Unexpected(
            "Vault's answer about the mount is not understood; check that vault_url is Vault's"
                .to_owned(),
        )
    })?;
    let path = data.path.trim_end_matches('/');
    if path != mount.to_string() {
        return Ok(Mounted::Below(path.to_owned()));
    }
    let version = data.options.and_then(|options| options.version);
    Ok(Mounted::Here(if version.as_deref() == Some("2") { Version::V2 } else { Version::V1 }))
}
