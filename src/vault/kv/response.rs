//! What the answers of a KV secrets engine mean. It may be of either version.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::{Map, Value};
use vaultrs::api::EndpointResult;
use vaultrs::api::kv2::responses::{ReadSecretResponse, SecretVersionMetadata};

use super::entry::{Entry, Revision};
use crate::vault::error::{messages, quote};
use crate::vault::mounts::Version;
use crate::vault::transport::ServerResponse;
use crate::vault::{Mount, VaultError};

/// Reads the answer of an engine of this version that was asked for an entry.
pub fn entry(
    version: Version,
    mount: &Mount,
    answer: &ServerResponse,
) -> Result<Entry, VaultError> {
    match version {
        Version::V1 => entry_of_v1(mount, answer),
        Version::V2 => entry_of_v2(mount, answer),
    }
}

/// The date of an answer is whole seconds: it may be that much later.
const DATE_PRECISION: Duration = Duration::from_secs(1);

/// Reads the answer of an engine of version 2 that was asked for an entry.
pub fn entry_of_v2(mount: &Mount, answer: &ServerResponse) -> Result<Entry, VaultError> {
    match answer.status.as_u16() {
        200 => {
            let version: Option<ReadSecretResponse> = parse(mount, 2, answer)?;
            let Some(ReadSecretResponse { data, metadata }) = version else {
                return Ok(Entry::Missing);
            };
            Ok(match life(&metadata, answer.date) {
                Life::Over => Entry::Missing,
                Life::Endless => Entry::of(data, Revision::of(&metadata, answer.date), None),
                Life::Ends(after) => {
                    Entry::of(data, Revision::of(&metadata, answer.date), Some(after))
                }
            })
        }
        404 => missing(mount, answer),
        _ => Err(unexpected(mount, answer)),
    }
}

/// How long a version lives.
enum Life {
    /// It is destroyed or deleted.
    Over,
    /// It is deleted so long after the answer.
    Ends(Duration),
    /// Nobody has said when it is to be deleted.
    Endless,
}

/// How long a version lives, by its metadata.
///
/// Vault itself answers 404 for a version that is gone, but another program that serves its API may
/// answer 200. A live version may have a time at which it will be deleted.
fn life(metadata: &SecretVersionMetadata, date: Option<u64>) -> Life {
    if metadata.destroyed {
        return Life::Over;
    }
    if metadata.deletion_time.is_empty() {
        return Life::Endless;
    }
    let answered = date.and_then(|date| UNIX_EPOCH.checked_add(Duration::from_secs(date)));
    // A time that cannot be read is not known to lie ahead.
    let left = humantime::parse_rfc3339(&metadata.deletion_time)
        .ok()
        .and_then(|deleted| deleted.duration_since(answered.unwrap_or_else(SystemTime::now)).ok());
    match left {
        None | Some(Duration::ZERO) => Life::Over,
        Some(left) => Life::Ends(left.saturating_sub(DATE_PRECISION)),
    }
}

/// Reads the answer of an engine of version 1 that was asked for an entry.
pub fn entry_of_v1(mount: &Mount, answer: &ServerResponse) -> Result<Entry, VaultError> {
    match answer.status.as_u16() {
        200 => {
            let fields: Option<Map<String, Value>> = parse(mount, 1, answer)?;
            Ok(fields.map_or(Entry::Missing, |fields| Entry::of(Value::Object(fields), None, None)))
        }
        404 if has_warnings(answer) => Err(VaultError::Unexpected(format!(
            "the KV engine at {mount} is not of version 1; check vault_kv_version"
        ))),
        404 => missing(mount, answer),
        _ => Err(unexpected(mount, answer)),
    }
}

/// Reads what a success holds under `data`.
pub fn parse<T: DeserializeOwned>(
    mount: &Mount,
    version: u8,
    answer: &ServerResponse,
) -> Result<Option<T>, VaultError> {
    // The parser's own message may quote what it read, so only its kind is used.
    serde_json::from_slice::<EndpointResult<T>>(&answer.body).map(|answer| answer.data).map_err(
        |error| {
            VaultError::Unexpected(match error.classify() {
                Category::Data => format!(
                    "the answer is not that of a KV version {version} engine; \
                     check that {mount} is one"
                ),
                _ => "the answer is not JSON; check that vault_url is Vault's".to_owned(),
            })
        },
    )
}

/// Vault says 404 for an entry that was never written (`"errors": []`), for a deleted or destroyed
/// version (its metadata), and for a mount that does not exist (an error text).
pub fn missing(mount: &Mount, answer: &ServerResponse) -> Result<Entry, VaultError> {
    match messages(&answer.body) {
        Some(messages) if messages.is_empty() => Ok(Entry::Missing),
        Some(_) => Err(VaultError::Unexpected(format!(
            "Vault has no secrets engine at {mount}; check vault_kv_mount_point and vault_namespace"
        ))),
        None if has_metadata(answer) => Ok(Entry::Missing),
        None => Err(VaultError::Unexpected(format!(
            "the mount {mount} was answered for with a 404 that is not Vault's; check vault_url"
        ))),
    }
}

/// The error that an answer of any other status is.
pub fn unexpected(mount: &Mount, answer: &ServerResponse) -> VaultError {
    let status = answer.status.as_u16();
    VaultError::Unexpected(format!(
        "Vault answered {status} for the mount {mount}{}",
        quote(&answer.body)
    ))
}

fn has_metadata(answer: &ServerResponse) -> bool {
    serde_json::from_slice::<Value>(&answer.body)
        .is_ok_and(|answer| answer.pointer("/data/metadata/version").is_some())
}

/// A versioned engine answers requests of version 1 with a hint among the warnings.
fn has_warnings(answer: &ServerResponse) -> bool {
    serde_json::from_slice::<Value>(&answer.body).is_ok_and(|answer| {
        answer.get("warnings").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;
    use serde_json::json;
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn a_version_that_is_said_to_be_gone_is_no_secret() {
        // The answer is of 2001-09-09T01:46:40Z.
        let (gone, endless) = (None, Some(None));
        let ends_in = |seconds| Some(Some(Duration::from_secs(seconds)));
        for (deletion_time, destroyed, expected) in [
            ("", false, endless),
            ("2001-09-09T01:56:40Z", false, ends_in(599)),
            ("2001-09-09T01:46:41Z", false, ends_in(0)),
            ("2001-09-09T01:46:40Z", false, gone),
            ("2001-09-09T01:46:39.5Z", false, gone),
            ("", true, gone),
            ("later", false, gone),
            ("2001-09-09T01:46:41Z", true, gone),
        ] {
            let metadata = json!({
                "created_time": "2001-09-09T01:00:00Z",
                "custom_metadata": null,
                "deletion_time": deletion_time,
                "destroyed": destroyed,
                "version": 1,
            });
            let body = json!({
                "auth": null,
                "data": {"data": {"login_secret": "s"}, "metadata": metadata},
                "lease_duration": 0,
                "lease_id": "",
                "renewable": false,
                "request_id": "",
                "warnings": null,
                "wrap_info": null,
            });
            let answer = ServerResponse {
                status: StatusCode::OK,
                body: Zeroizing::new(body.to_string().into_bytes()),
                location: None,
                retry_after: None,
                date: Some(1_000_000_000),
                headers: HeaderMap::new(),
            };
            let deleted_in = match entry_of_v2(&Mount::default(), &answer).unwrap() {
                Entry::Secret(secret) => Some(secret.deleted_in),
                Entry::Missing | Entry::Unusable(_) => None,
            };
            assert_eq!(deleted_in, expected, "{body}");
        }
    }
}
