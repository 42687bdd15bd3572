//! Secrets in version 2 of the KV secrets engine.

use secrecy::SecretString;
use serde_json::Value;
use serde_json::error::Category;
use vaultrs::api::EndpointResult;
use vaultrs::api::kv2::requests::ReadSecretRequest;
use vaultrs::api::kv2::responses::ReadSecretResponse;

use super::error::messages;
use super::{Mount, Transport, VaultError};

/// The field of an entry that holds a user's secret.
const LOGIN_SECRET: &str = "login_secret";

/// What Vault holds for one user.
pub enum Entry {
    /// A secret that can open the account.
    Secret(SecretString),
    /// Nothing: never written, deleted or destroyed.
    Missing,
    /// An entry whose `login_secret` can open nothing. Says why.
    Unusable(&'static str),
}

/// Reads the newest version of a user's entry.
///
/// API: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version>
///
/// # Errors
/// [`VaultError`] when Vault does not say what it holds.
pub async fn read_login_secret(
    transport: &Transport,
    mount: &Mount,
    path: &str,
) -> Result<Entry, VaultError> {
    let request =
        ReadSecretRequest { mount: mount.to_string(), path: path.to_owned(), version: None };
    let answer = transport.send(&request).await?;
    if let Some(error) = transport.common_error(&answer) {
        return Err(error);
    }
    match answer.status.as_u16() {
        200 => parse(mount, &answer.body),
        404 => missing(mount, &answer.body),
        status => Err(VaultError::Unexpected(format!(
            "Vault answered {status} for the mount {mount}{}",
            super::error::quote(&answer.body)
        ))),
    }
}

/// Vault says 404 for an entry that was never written (`"errors": []`), for a deleted or destroyed
/// version (its metadata), and for a mount that does not exist (an error text).
fn missing(mount: &Mount, body: &[u8]) -> Result<Entry, VaultError> {
    match messages(body) {
        Some(messages) if messages.is_empty() => Ok(Entry::Missing),
        Some(_) => Err(VaultError::Unexpected(format!(
            "Vault has no secrets engine at {mount}; check vault_kv_mount_point"
        ))),
        None if has_metadata(body) => Ok(Entry::Missing),
        None => Err(VaultError::Unexpected(format!(
            "the mount {mount} was answered for with a 404 that is not Vault's; check vault_url"
        ))),
    }
}

fn has_metadata(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|answer| answer.pointer("/data/metadata/version").is_some())
}

fn parse(mount: &Mount, body: &[u8]) -> Result<Entry, VaultError> {
    // The parser's own message may quote what it read, so only its kind is told.
    let answer: EndpointResult<ReadSecretResponse> =
        serde_json::from_slice(body).map_err(|error| {
            VaultError::Unexpected(match error.classify() {
                Category::Data => format!(
                    "the answer is not that of a KV version 2 engine; check that {mount} is one"
                ),
                _ => "the answer is not JSON; check that vault_url is Vault's".to_owned(),
            })
        })?;
    let Some(version) = answer.data else {
        return Ok(Entry::Missing);
    };
    let Value::Object(mut fields) = version.data else {
        return Ok(Entry::Missing);
    };
    Ok(match fields.remove(LOGIN_SECRET) {
        Some(Value::String(secret)) if secret.is_empty() => {
            Entry::Unusable("its login_secret is empty")
        }
        Some(Value::String(secret)) => Entry::Secret(SecretString::from(secret)),
        Some(_) => Entry::Unusable("its login_secret is not a string"),
        None => Entry::Unusable("it has no login_secret"),
    })
}
