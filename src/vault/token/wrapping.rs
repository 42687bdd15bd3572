//! Response wrapping: a token that can be exchanged for a secret, once.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;
use vaultrs::api::EndpointResult;
use vaultrs::api::sys::requests::UnwrapRequest;

use crate::vault::cluster::Cluster;
use crate::vault::error::quote;
use crate::vault::request::{Request, RequestKind};
use crate::vault::transport::RequestHeaders;
use crate::vault::{AuthNamespace, Token, VaultError};

/// Exchanges a wrapping token for the field `name` of what it wraps. `namespace` is where it was
/// made.
///
/// API: <https://developer.hashicorp.com/vault/api-docs/system/wrapping-unwrap>
///
/// # Errors
/// [`VaultError::LoginRefused`] when the wrapping token is spent or expired, which may mean that
/// somebody else used it.
pub async fn unwrap(
    cluster: &Arc<Cluster>,
    namespace: &AuthNamespace,
    wrapping_token: &SecretString,
    name: &str,
) -> Result<SecretString, VaultError> {
    let token = Token::parse(wrapping_token)
        .map_err(|error| VaultError::Unexpected(format!("the wrapping token {error}")))?;
    let request = Request::of(RequestKind::Unwrap, &UnwrapRequest { token: None })?;
    let answer =
        cluster.send(&request, RequestHeaders::Auth { token: Some(&token), namespace }).await?;
    if answer.status.is_client_error() {
        return Err(VaultError::LoginRefused {
            method: "wrapped secret",
            status: answer.status.as_u16(),
            quote: format!(
                "{}: the wrapping token works once; if it was not this module that used it, \
                 somebody else has what it wrapped",
                quote(&answer.body)
            ),
        });
    }
    let field = serde_json::from_slice::<EndpointResult<Value>>(&answer.body)
        .ok()
        .and_then(|answer| answer.data)
        .and_then(|mut data| data.get_mut(name).map(Value::take));
    match field {
        Some(Value::String(secret)) => Ok(SecretString::from(secret)),
        _ => Err(VaultError::Unexpected(format!("the wrapping token does not wrap a {name}"))),
    }
}
