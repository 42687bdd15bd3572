//! Pictures of users.

use std::path::Path;

use super::super::error::ProvisioningError;
use super::remote_account::RemoteAccount;
use crate::homeserver::AccessToken;
use crate::retry::Deadline;

/// Largest file that is read, in bytes: as much as Synapse takes by default.
const LARGEST: u64 = 50 << 20;

/// A picture of a user.
pub enum Avatar {
    /// One that a homeserver has.
    Uploaded(String),
    /// One to upload.
    File {
        /// The picture.
        bytes: Vec<u8>,
        /// Its type, such as `image/png`.
        content_type: &'static str,
    },
}

impl Avatar {
    /// Takes an `mxc://` URI, or the path of an image file, which is read now.
    ///
    /// # Errors
    /// When it is neither.
    pub async fn read(
        deadline: Deadline,
        avatar: Option<&str>,
    ) -> Result<Option<Self>, ProvisioningError> {
        let Some(avatar) = avatar else { return Ok(None) };
        if avatar.starts_with("mxc://") {
            return match <&ruma_common::MxcUri>::from(avatar).validate() {
                Ok(()) => Ok(Some(Self::Uploaded(avatar.to_owned()))),
                Err(_) => Err(wrong("is no mxc:// URI of a server and a media id")),
            };
        }
        let path = avatar.to_owned();
        let reading = tokio::task::spawn_blocking(move || read_file(Path::new(&path)));
        match tokio::time::timeout(deadline.left(), reading).await {
            Ok(Ok(avatar)) => avatar.map(Some),
            Ok(Err(_)) | Err(_) => Err(wrong(&format!("cannot read {avatar}: it takes too long"))),
        }
    }

    /// Its URI; a file is uploaded.
    ///
    /// # Errors
    /// What the homeserver has against it.
    pub async fn uri(
        &self,
        account: &RemoteAccount<'_>,
        token: &AccessToken,
    ) -> Result<String, ProvisioningError> {
        match self {
            Self::Uploaded(uri) => Ok(uri.clone()),
            Self::File { bytes, content_type } => {
                let upload = || account.homeserver.upload(token, bytes.clone(), content_type);
                account.retry("upload the avatar", upload).await
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Avatar, ProvisioningError> {
    use std::io::Read;

    let shown = path.display();
    let cannot_read = |error: std::io::Error| wrong(&format!("cannot read {shown}: {error}"));
    // Opening a pipe would wait for somebody to write to it.
    if !std::fs::metadata(path).map_err(&cannot_read)?.is_file() {
        return Err(wrong(&format!("{shown} is no file")));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(cannot_read)?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(&format!("{shown} is larger than {LARGEST} bytes")));
    }
    match infer::get(&bytes) {
        Some(kind) if kind.matcher_type() == infer::MatcherType::Image => {
            Ok(Avatar::File { bytes, content_type: kind.mime_type() })
        }
        _ => Err(wrong(&format!("{shown} is not an image"))),
    }
}

fn wrong(message: &str) -> ProvisioningError {
    ProvisioningError::of_key("avatar", message)
}
