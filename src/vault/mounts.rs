//! What is mounted where, asked as the vendor's command line asks it.

use serde::Deserialize;

use super::request::{Request, RequestKind};
use super::transport::ServerResponse;
use super::{FullPath, Mount, VaultError};

/// What Vault says of a mount to a token that may read something in it.
pub enum Mounted {
    /// The engine is mounted at this very path; its options name this version.
    Here(Version),
    /// The secrets engine for Matrix is mounted at this very path. To who reads below `login/`, it
    /// is a KV engine of version 1.
    SecretsEngine,
    /// The path belongs to the engine mounted at another one.
    Below(String),
    /// A 403 or 404: no such mount, a dead token, or one that may read nothing there.
    Unknown,
}

/// The type of a mount of the secrets engine for Matrix: the name of its plugin.
const SECRETS_ENGINE: &str = "vault-plugin-secrets-matrix";

/// Where in Vault a path is that has its mount in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The mount that the path belongs to.
    pub mount: Mount,
    /// What of the path is below that; empty for the mount itself.
    pub below: String,
    /// What is mounted there.
    pub engine: Engine,
}

/// A kind of secrets engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// KV, of this version.
    Kv(Version),
    /// Another one, by the name of its type.
    Other(String),
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
            Self::SecretsEngine => Ok(Some(Version::V1)),
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
    #[serde(default, rename = "type")]
    engine: Option<String>,
    options: Option<MountOptions>,
}

impl MountPart {
    fn version(&self) -> Version {
        let version = self.options.as_ref().and_then(|options| options.version.as_deref());
        if version == Some("2") { Version::V2 } else { Version::V1 }
    }
}

#[derive(Deserialize)]
struct MountOptions {
    version: Option<String>,
}

/// Asks what is mounted at `path`, or above it.
///
/// The endpoint is meant for the vendor's own programs, as `kvPreflightVersionRequest` in Vault's
/// command line. API: <https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts>
pub fn request(path: &str) -> Request {
    Request::get(RequestKind::Mount, &format!("sys/internal/ui/mounts/{path}"))
}

/// Reads the answer to [`request`] for a mount.
///
/// # Errors
/// [`VaultError::Unexpected`] for what Vault would not answer.
pub fn parse_response(mount: &Mount, answer: &ServerResponse) -> Result<Mounted, VaultError> {
    if answer.status.is_client_error() {
        return Ok(Mounted::Unknown);
    }
    let part = parse(answer)?;
    let path = part.path.trim_end_matches('/');
    if path != mount.to_string() {
        return Ok(Mounted::Below(path.to_owned()));
    }
    if part.engine.as_deref() == Some(SECRETS_ENGINE) {
        return Ok(Mounted::SecretsEngine);
    }
    Ok(Mounted::Here(part.version()))
}

/// Reads the answer to [`request`] for a path with its mount in front; `None` if Vault does not tell.
///
/// # Errors
/// [`VaultError::Unexpected`] for what Vault would not answer.
pub fn parse_located(
    path: &FullPath,
    answer: &ServerResponse,
) -> Result<Option<Located>, VaultError> {
    if answer.status.is_client_error() {
        return Ok(None);
    }
    let part = parse(answer)?;
    let mount = Mount::parse(&part.path).map_err(|_| not_understood())?;
    let below = path.below(&mount).ok_or_else(not_understood)?.to_owned();
    let engine = match part.engine.as_deref() {
        // Old engines of version 1 are of the type "generic".
        None | Some("kv" | "generic") => Engine::Kv(part.version()),
        Some(other) => Engine::Other(crate::text::quote(other)),
    };
    Ok(Some(Located { mount, below, engine }))
}

fn parse(answer: &ServerResponse) -> Result<MountPart, VaultError> {
    let MountAnswer { data } =
        serde_json::from_slice(&answer.body).map_err(|_| not_understood())?;
    Ok(data)
}

fn not_understood() -> VaultError {
    VaultError::Unexpected(
        "Vault's answer about the mount is not understood; check that vault_url is Vault's"
            .to_owned(),
    )
}
