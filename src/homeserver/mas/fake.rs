//! A MAS that keeps users and sessions in memory and answers on virtual time, or fails as a test says.

#![allow(dead_code, reason = "what a MAS needs is there for all tests")]

mod database;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::connections::Transport;
use super::{Config, MasClient, Ulid};
use crate::credential::Credential;
use crate::http::{BaseUrl, Proxies, ServerResponse, Tls, TransportError};
use crate::notice::Notices;
use crate::sync::Mutex;
pub(crate) use database::CLIENT;
use database::{Database, error, is_active};

/// The time that one exchange has.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// MAS' clock when the test began, in seconds since 1970: nobody else's says the same.
const CLOCK: u64 = 1_000_000_000;

/// A MAS. Clones are the same one.
#[derive(Clone)]
pub(crate) struct FakeMas(Arc<Shared>);

struct Shared {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: u64,
    database: Database,
    rules: Vec<(Method, String, VecDeque<Fault>)>,
    sent: Vec<Sent>,
    most_creations: usize,
    creations: usize,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The time since MAS was made.
    pub at: Duration,
    /// Method and path, as in `GET /api/admin/v1/version`, without a query.
    pub line: String,
    /// What stood in `Authorization`.
    pub authorization: Option<String>,
    /// The body.
    pub body: String,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    Nothing,
    /// This is answered, and nothing done.
    Answer(u16, Value),
    /// A body that is no JSON.
    Text(u16, &'static str),
    /// Nothing is done, and there is no answer.
    NoAnswer(TransportError),
    /// It is done, and the answer is lost at once.
    AnswerLost,
    /// It is done so much later, and nobody is answered in time.
    Late(Duration),
    /// It takes so long.
    Slow(Duration),
}

impl FakeMas {
    /// Has no users.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { began: Instant::now(), state: Mutex::default() }))
    }

    /// Where it is, and who we are to it.
    pub(crate) fn config() -> Config {
        let server = |url: &str| BaseUrl::parse(url).unwrap();
        Config {
            admin_api: server("http://mas.internal:8081"),
            public: Some(server("https://auth.example.org")),
            token_endpoint: None,
            client_id: Ulid::parse(CLIENT).unwrap(),
            client_secret: Credential::Inline("s3cret".into()),
            tls: Tls::default(),
            trust_setting: "mas.ca_cert",
            proxies: Proxies::default(),
            request_timeout: REQUEST_TIMEOUT,
        }
    }

    /// The way to it.
    pub(crate) fn client(&self) -> MasClient {
        MasClient::with_transport(Self::config(), Arc::new(self.clone()), Notices::new(|_| {}))
    }

    /// Adds a user; returns their id.
    pub(crate) fn add_user(&self, username: &str, more: &Value) -> String {
        self.state(|state| {
            let id = state.database.new_id();
            let mut attributes = json!({
                "username": username, "created_at": "2026-01-01T00:00:00Z", "admin": false,
                "locked_at": null, "deactivated_at": null, "legacy_guest": false,
            });
            merge(&mut attributes, more);
            state.database.users.push(json!({"type": "user", "id": id, "attributes": attributes}));
            id
        })
    }

    /// Adds a session of this kind, `personal-session`, `compat-session` or `oauth2-session`; returns
    /// its id.
    pub(crate) fn add_session(&self, kind: &str, attributes: &Value) -> String {
        self.state(|state| {
            let id = state.database.new_id();
            let mut all = json!({
                "created_at": "2026-01-01T00:00:00Z", "finished_at": null, "revoked_at": null,
                "client_id": CLIENT, "owner_client_id": CLIENT, "scope": "", "human_name": "",
            });
            merge(&mut all, attributes);
            state.database.sessions.push(json!({"type": kind, "id": id, "attributes": all}));
            id
        })
    }

    /// What goes wrong with requests of this method whose path ends so, one after the other.
    pub(crate) fn fail(&self, method: Method, path: &str, faults: impl IntoIterator<Item = Fault>) {
        let rule = (method, path.to_owned(), faults.into_iter().collect());
        self.state(|state| state.rules.push(rule));
    }

    /// The same of every request from now on.
    pub(crate) fn fail_for_ever(&self, method: Method, path: &str, fault: &Fault) {
        self.fail(method, path, std::iter::repeat_n(fault.clone(), 10_000));
    }

    /// The names of the personal sessions that nobody has ended.
    pub(crate) fn personal_sessions(&self) -> Vec<String> {
        let name =
            |session: &Value| session["attributes"]["human_name"].as_str().unwrap().to_owned();
        self.active("personal-session").iter().map(name).collect()
    }

    /// The sessions of a kind that nobody has ended.
    pub(crate) fn active(&self, kind: &str) -> Vec<Value> {
        let is_active = |session: &&Value| session["type"] == kind && is_active(session);
        self.state(|state| state.database.sessions.iter().filter(is_active).cloned().collect())
    }

    /// Ends all tokens for the admin API that there are.
    pub(crate) fn forget_tokens(&self) {
        self.state(|state| state.tokens += 1000);
    }

    /// The requests so far whose method and path end so.
    pub(crate) fn sent(&self, method: &Method, path: &str) -> Vec<Sent> {
        let fits =
            |sent: &&Sent| sent.line.starts_with(method.as_str()) && sent.line.ends_with(path);
        self.state(|state| state.sent.iter().filter(fits).cloned().collect())
    }

    /// How many sessions were being opened at the same time at most.
    pub(crate) fn most_creations(&self) -> usize {
        self.state(|state| state.most_creations)
    }

    fn state<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        read(&mut self.0.state.lock())
    }

    /// What MAS' clock says.
    fn now(&self) -> u64 {
        CLOCK + self.0.began.elapsed().as_secs()
    }

    fn receive(&self, request: &reqwest::Request) -> Fault {
        let path = request.url().path().to_owned();
        let authorization = request.headers().get(AUTHORIZATION);
        let sent = Sent {
            at: self.0.began.elapsed(),
            line: format!("{} {path}", request.method()),
            authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
            body: body_of(request),
        };
        self.state(|state| {
            state.sent.push(sent);
            let rule = state.rules.iter_mut().find(|(method, end, faults)| {
                method == request.method() && path.ends_with(end.as_str()) && !faults.is_empty()
            });
            rule.and_then(|(_, _, faults)| faults.pop_front()).unwrap_or(Fault::Nothing)
        })
    }

    fn answer(&self, request: &reqwest::Request) -> (u16, Value) {
        let now = self.now();
        let url = request.url().clone();
        let bearer = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
        let body = body_of(request);
        self.state(|state| match url.path() {
            "/.well-known/openid-configuration" => (
                200,
                json!({
                    "token_endpoint": "https://auth.example.org/oauth2/token",
                    "introspection_endpoint": "https://auth.example.org/oauth2/introspect",
                }),
            ),
            "/oauth2/token" => {
                state.tokens += 1;
                let token = format!("mat_{}", state.tokens);
                (200, json!({"access_token": token, "expires_in": 300, "token_type": "Bearer"}))
            }
            "/oauth2/introspect" => state.database.introspect(&body),
            path => {
                if bearer != Some(&*format!("Bearer mat_{}", state.tokens)) {
                    return (401, error("Invalid access token"));
                }
                let path = path.strip_prefix("/api/admin/v1/").unwrap();
                let body = serde_json::from_str(&body).unwrap_or_default();
                state.database.admin_api(request.method(), path, &url, &body, now)
            }
        })
    }
}

impl Transport for FakeMas {
    fn send<'a>(
        &'a self,
        _server: &'a BaseUrl,
        request: reqwest::Request,
    ) -> BoxFuture<'a, Result<ServerResponse, TransportError>> {
        Box::pin(async move {
            let fault = self.receive(&request);
            let is_creation = request.method() == Method::POST
                && request.url().path().ends_with("/personal-sessions");
            let _creating = is_creation.then(|| Creating::new(self.clone()));
            let timed_out = || TransportError::TimedOut { limit: REQUEST_TIMEOUT };
            let exchange = async {
                match fault {
                    Fault::Nothing => Ok(response(self.answer(&request))),
                    Fault::Answer(status, body) => Ok(response((status, body))),
                    Fault::Text(status, text) => Ok(response_text(status, text.to_owned())),
                    Fault::NoAnswer(cause) => Err(cause),
                    Fault::AnswerLost => {
                        self.answer(&request);
                        let cause = "connection reset".to_owned();
                        Err(TransportError::Unreachable { cause, was_connected: true })
                    }
                    Fault::Late(late) => {
                        let mas = self.clone();
                        tokio::spawn(async move {
                            sleep(late).await;
                            mas.answer(&request);
                        });
                        std::future::pending().await
                    }
                    Fault::Slow(takes) => {
                        sleep(takes).await;
                        Ok(response(self.answer(&request)))
                    }
                }
            };
            timeout(REQUEST_TIMEOUT, exchange).await.unwrap_or_else(|_| Err(timed_out()))
        })
    }
}

/// Counts a creation while it is under way.
struct Creating(FakeMas);

impl Creating {
    fn new(mas: FakeMas) -> Self {
        mas.state(|state| {
            state.creations += 1;
            state.most_creations = state.most_creations.max(state.creations);
        });
        Self(mas)
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        self.0.state(|state| state.creations -= 1);
    }
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

fn body_of(request: &reqwest::Request) -> String {
    let bytes = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn response((status, body): (u16, Value)) -> ServerResponse {
    response_text(status, body.to_string())
}

fn response_text(status: u16, body: String) -> ServerResponse {
    ServerResponse {
        status: StatusCode::from_u16(status).unwrap(),
        body: Zeroizing::new(body.into_bytes()),
        location: None,
        retry_after: None,
        date: None,
        headers: HeaderMap::new(),
    }
}
