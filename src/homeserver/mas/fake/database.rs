//! What the fake MAS keeps, and what it answers out of it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

/// Our client.
pub const CLIENT: &str = "0000000000000000000SYNAPSE";

/// Users and sessions, as the admin API shows them.
#[derive(Default)]
pub struct Database {
    ids: u64,
    pub users: Vec<Value>,
    pub sessions: Vec<Value>,
}

impl Database {
    pub fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("01{:024}", self.ids)
    }

    pub fn introspect(&self, form: &str) -> (u16, Value) {
        let fields: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).collect();
        let token = &fields.iter().find(|(name, _)| name == "token").unwrap().1;
        let of_token = |session: &&Value| session["token"] == token.as_ref() && is_active(session);
        match self.sessions.iter().find(of_token) {
            None => (200, json!({"active": false})),
            Some(session) => {
                let attributes = &session["attributes"];
                let answer = json!({
                    "active": true, "client_id": attributes["owner_client_id"],
                    "sub": attributes["actor_user_id"], "scope": attributes["scope"],
                });
                (200, answer)
            }
        }
    }

    pub fn admin_api(
        &mut self,
        method: &Method,
        path: &str,
        url: &Url,
        body: &Value,
        now: u64,
    ) -> (u16, Value) {
        let segments: Vec<&str> = path.split('/').collect();
        match (method.as_str(), &segments[..]) {
            ("GET", ["version"]) => (200, json!({"version": "v1.22.0"})),
            ("GET", ["users", "by-username", name]) => {
                let name = percent_encoding::percent_decode_str(name).decode_utf8().unwrap();
                let named = |user: &&Value| {
                    let username = user["attributes"]["username"].as_str().unwrap();
                    username.eq_ignore_ascii_case(&name)
                };
                match self.users.iter().find(named) {
                    Some(user) => (200, json!({"data": user})),
                    None => (404, error("User not found")),
                }
            }
            ("POST", ["users"]) => {
                let taken = |user: &Value| user["attributes"]["username"] == body["username"];
                if self.users.iter().any(taken) {
                    return (409, error("User already exists"));
                }
                let attributes = json!({
                    "username": body["username"], "created_at": "2026-01-01T00:00:00Z",
                    "admin": false, "legacy_guest": false,
                });
                let user = json!({"type": "user", "id": self.new_id(), "attributes": attributes});
                self.users.push(user.clone());
                (201, json!({"data": user}))
            }
            ("POST", ["personal-sessions"]) => {
                let expires = body["expires_in"].as_u64().map(|seconds| timestamp(now + seconds));
                let attributes = json!({
                    "created_at": timestamp(now), "expires_at": expires, "revoked_at": null,
                    "owner_client_id": CLIENT, "actor_user_id": body["actor_user_id"],
                    "human_name": body["human_name"], "scope": body["scope"],
                });
                let id = self.new_id();
                let token = format!("mpt_{id}");
                let mut session = json!({
                    "type": "personal-session", "id": id, "attributes": attributes, "token": token,
                });
                self.sessions.push(session.clone());
                session["attributes"]["access_token"] = token.into();
                (201, json!({"data": session}))
            }
            ("GET", [kind @ ("personal-sessions" | "compat-sessions" | "oauth2-sessions")]) => {
                (200, self.page(kind.trim_end_matches('s'), url))
            }
            ("POST", [_, id, "revoke" | "finish"]) => {
                match self.sessions.iter_mut().find(|session| session["id"] == **id) {
                    None => (404, error("Session not found")),
                    Some(session) if !is_active(session) => (409, error("Session already ended")),
                    Some(session) => {
                        session["attributes"]["revoked_at"] = timestamp(now).into();
                        (200, json!({"data": session}))
                    }
                }
            }
            _ => (404, json!({})),
        }
    }

    fn page(&self, kind: &str, url: &Url) -> Value {
        let parameters: Vec<_> = url.query_pairs().into_owned().collect();
        let parameter = |name: &str| {
            parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let first: usize = parameter("page[first]").unwrap_or("10").parse().unwrap();
        let fits = |session: &&Value| {
            let attributes = &session["attributes"];
            let user = attributes.get("actor_user_id").or_else(|| attributes.get("user_id"));
            let wanted = parameter("filter[actor_user]").or_else(|| parameter("filter[user]"));
            let scope = attributes["scope"].as_str().unwrap_or_default();
            session["type"] == kind
                && wanted.is_none_or(|wanted| user.is_some_and(|user| user == wanted))
                && (parameter("filter[status]") != Some("active") || is_active(session))
                && parameter("filter[scope]").is_none_or(|word| scope.split(' ').any(|w| w == word))
                && parameter("filter[expires_before]").is_none_or(|before| {
                    attributes["expires_at"].as_str().is_some_and(|expires| expires < before)
                })
                && parameter("page[after]")
                    .is_none_or(|after| session["id"].as_str().is_some_and(|id| id > after))
        };
        let found: Vec<&Value> = self.sessions.iter().filter(fits).collect();
        let next = (found.len() > first).then_some("/next");
        json!({"data": found[..first.min(found.len())], "links": {"self": "/", "next": next}})
    }
}

pub fn is_active(session: &Value) -> bool {
    let attributes = &session["attributes"];
    attributes["revoked_at"].is_null() && attributes["finished_at"].is_null()
}

fn timestamp(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

pub fn error(title: &str) -> Value {
    json!({"errors": [{"title": title}]})
}
