//! Whether an answer is Vault's, by its form.
//!
//! A web server, a firewall or a proxy may answer in Vault's place, with any status. What it says
//! of itself says nothing about the token or a secret.

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::error::{VaultError, messages};
use super::request::Request;
use super::transport::ServerResponse;
use crate::text;

/// What a node says of its health: <https://developer.hashicorp.com/vault/api-docs/system/health>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct HealthBody {
    /// Whether it has storage to read from.
    pub initialized: bool,
    /// Whether it cannot read it.
    pub sealed: bool,
    /// Whether another node is the active one.
    pub standby: bool,
}

/// The error of an answer that is not Vault's; `None` for one that is.
///
/// An error of Vault's is an object with a list of texts as `errors`, and a success has what the
/// request reads. Answers without a body and redirects are taken as they are, and so are statuses
/// from 500 up, which say of any server that it cannot answer now.
pub fn check(address: &str, request: &Request, answer: &ServerResponse) -> Option<VaultError> {
    let is_judged = answer.status.is_success() || answer.status.is_client_error();
    if !is_judged || answer.body.is_empty() || is_vaults(request, answer) {
        return None;
    }
    Some(foreign_answer(address, answer))
}

/// What a node says of its health, if the answer is Vault's.
pub fn health(answer: &ServerResponse) -> Option<HealthBody> {
    serde_json::from_slice(&answer.body).ok()
}

/// Whether an answer may be that of a limit on requests which is kept before Vault: many of these say
/// 503, without a word of Vault's.
///
/// A gateway that has no answer of Vault's (502) or waits for it in vain (504) keeps no limit.
pub fn may_be_of_a_limit(answer: &ServerResponse) -> bool {
    answer.status.is_server_error()
        && !matches!(answer.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
        && messages(&answer.body).is_none()
}

/// The error of an answer that is not Vault's.
pub fn foreign_answer(address: &str, answer: &ServerResponse) -> VaultError {
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.and_then(|value| value.split(';').next());
    VaultError::ForeignAnswer {
        address: address.to_owned(),
        status: answer.status.as_u16(),
        content_type: content_type.map(text::quote).filter(|text| !text.is_empty()),
        retry_after: answer.retry_after,
        allows_stale: false,
    }
}

fn is_vaults(request: &Request, answer: &ServerResponse) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return false };
    if is_envelope(&body) {
        return true;
    }
    if answer.status.is_success() {
        return body.is_object() && request.reads.iter().all(|part| body.pointer(part).is_some());
    }
    // A deleted version, or the hint of an engine that has versions.
    let is_missing = answer.status == StatusCode::NOT_FOUND
        && (body.pointer("/data/metadata/version").is_some()
            || is_list_of_texts(&body, "warnings"));
    is_missing || messages(&answer.body).is_some()
}

/// What surrounds everything that Vault answers out of an engine.
fn is_envelope(body: &Value) -> bool {
    let has = |field, is_right: fn(&Value) -> bool| body.get(field).is_some_and(is_right);
    has("request_id", Value::is_string)
        && has("lease_id", Value::is_string)
        && has("renewable", Value::is_boolean)
        && has("lease_duration", Value::is_number)
}

fn is_list_of_texts(body: &Value, field: &str) -> bool {
    let list = body.get(field).and_then(Value::as_array);
    list.is_some_and(|list| list.iter().all(Value::is_string))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;
    use zeroize::Zeroizing;

    use super::*;
    use crate::vault::request::RequestKind;

    fn answer(status: u16, content_type: &'static str, body: &str) -> ServerResponse {
        ServerResponse {
            status: StatusCode::from_u16(status).unwrap(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
            location: None,
            retry_after: None,
            date: None,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]),
        }
    }

    fn is_foreign(kind: RequestKind, status: u16, body: &Value) -> bool {
        let answer = answer(status, "application/json", &body.to_string());
        check("http://v", &Request::get(kind, "p"), &answer).is_some()
    }

    #[test]
    fn answers_of_vaults_form() {
        let envelope = json!({
            "request_id": "a", "lease_id": "", "renewable": false, "lease_duration": 0, "data": null,
        });
        let deleted = json!({"data": {"data": null, "metadata": {"version": 1}}});
        for (kind, status, body) in [
            (RequestKind::Read, 200, json!({"data": {"login_secret": "s"}})),
            (RequestKind::Read, 200, envelope.clone()),
            (RequestKind::Read, 404, json!({"errors": []})),
            (RequestKind::Read, 404, deleted),
            (RequestKind::Read, 404, json!({"data": null, "warnings": ["has versions"]})),
            (RequestKind::Read, 403, json!({"errors": ["permission denied"]})),
            (RequestKind::Read, 400, json!({"errors": ["x"], "data": null})),
            (RequestKind::LookupSelf, 200, json!({"data": {"ttl": 5}})),
            (RequestKind::Login, 200, json!({"auth": {"client_token": "t"}})),
            (RequestKind::Mount, 200, json!({"data": {"path": "kv/"}})),
        ] {
            assert!(!is_foreign(kind, status, &body), "{kind:?} {status} {body}");
        }
    }

    #[test]
    fn answers_of_others() {
        for (kind, status, body) in [
            (RequestKind::Read, 200, json!({"status": "ok"})),
            (RequestKind::Read, 200, json!({})),
            (RequestKind::Read, 200, json!([{"data": {}}])),
            (RequestKind::Read, 200, json!("data")),
            (RequestKind::Read, 403, json!({"message": "Forbidden"})),
            (RequestKind::Read, 403, json!({"errors": [{"status": "403"}]})),
            (RequestKind::Read, 403, json!({"errors": "denied"})),
            (RequestKind::Read, 403, json!(["denied"])),
            (RequestKind::Read, 404, json!({"data": null})),
            (RequestKind::Read, 404, json!({"warnings": [5]})),
            (RequestKind::Read, 403, json!({"warnings": ["only a 404 has these"]})),
            (RequestKind::LookupSelf, 200, json!({"data": {"id": 5}})),
            (RequestKind::Login, 200, json!({"auth": null})),
            (RequestKind::Mount, 200, json!({"data": {}})),
        ] {
            assert!(is_foreign(kind, status, &body), "{kind:?} {status} {body}");
        }
    }

    #[test]
    fn a_success_of_others_lacks_what_is_read() {
        let request = Request::get(RequestKind::Read, "p").reading(&["/data/metadata"]);
        for (body, is_vaults) in [
            (json!({"data": {"data": {}, "metadata": {}}}), true),
            (json!({"data": {"id": 5}}), false),
            (json!({"data": []}), false),
        ] {
            let answer = answer(200, "application/json", &body.to_string());
            assert_eq!(check("http://v", &request, &answer).is_none(), is_vaults, "{body}");
        }
    }

    #[test]
    fn empty_bodies_redirects_and_failures_are_taken_as_they_are() {
        let request = Request::get(RequestKind::Read, "p");
        for (status, body) in [(200, ""), (403, ""), (307, "<html>"), (502, "<html>")] {
            assert_eq!(check("http://v", &request, &answer(status, "text/html", body)), None);
        }
    }

    #[test]
    fn what_is_foreign_is_named_with_its_status_and_type() {
        let request = Request::get(RequestKind::Read, "p");
        let text = |answer| check("http://v", &request, &answer).unwrap().to_string();
        let said = "what http://v gave is not an answer of Vault's (403, text/html); \
                    check the address and what stands before it";
        assert_eq!(text(answer(403, "text/html; charset=utf-8", "<html>")), said);
        let untyped = ServerResponse { headers: HeaderMap::new(), ..answer(404, "", "x") };
        assert!(text(untyped).contains("Vault's (404); check"));
    }
}
