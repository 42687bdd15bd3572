//! A cluster whose nodes answer what a test says, on the clock of the test's runtime.
//!
//! With `#[tokio::test(start_paused = true)]` that clock jumps to whatever is waited for next, so
//! hours pass in no time and each request has an exact moment.

#![allow(dead_code, reason = "what one test needs is there for all")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::address::Address;
use super::error::VaultError;
use super::request::{Request, RequestKind};
use super::transport::{RequestHeaders, ServerResponse, Transport};
use crate::http::TransportError;
use crate::sync::Mutex;

/// The time that one exchange has.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The nodes, what they answer, and what they were asked. Clones are the same cluster.
#[derive(Clone)]
pub(crate) struct FakeVault(Arc<State>);

struct State {
    began: Instant,
    rules: Mutex<Vec<Rule>>,
    sent: Mutex<Vec<Sent>>,
}

/// What is answered to requests at one address and path; empty for any.
struct Rule {
    address: String,
    path: String,
    reply: Arc<dyn Fn(&Sent) -> Reply + Send + Sync>,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The time since the cluster was made.
    pub at: Duration,
    /// The node that was asked.
    pub address: String,
    /// What it was for.
    pub kind: RequestKind,
    /// Method, path and query, as in `GET kv/data/a?version=3`.
    pub line: String,
    /// The token it came with.
    pub token: Option<String>,
    /// The body.
    pub body: Option<Value>,
}

/// What a node does with a request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    after: Duration,
    outcome: Outcome,
}

#[derive(Clone, Debug)]
enum Outcome {
    Answer { status: u16, headers: HeaderMap, body: Vec<u8>, date: Option<u64> },
    NoAnswer(TransportError),
    Hang,
}

impl FakeVault {
    /// Every node is active, holds no entry, and knows every token for ever.
    pub(crate) fn new() -> Self {
        let state =
            State { began: Instant::now(), rules: Mutex::default(), sent: Mutex::default() };
        let vault = Self(Arc::new(state));
        vault.on("", "", [Reply::errors(404, &[])]);
        vault.on("", "sys/health", [Reply::health(200)]);
        let token = json!({"data": {"ttl": 0, "renewable": false, "expire_time": null}});
        vault.on("", "auth/token/lookup-self", [Reply::json(200, token)]);
        vault
    }

    /// How the cluster is reached.
    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    /// From now on, answers what is asked for at this address and path: the replies one after the
    /// other, and the last one for ever. An empty address or path stands for any. The rule that was
    /// made last counts.
    pub(crate) fn on(&self, address: &str, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.on_each(address, path, in_turn(replies));
    }

    /// The same for reads of entries, whichever they are and wherever.
    pub(crate) fn on_reads(&self, replies: impl IntoIterator<Item = Reply>) {
        let reply = in_turn(replies);
        self.on_each("", "", move |sent| match sent.kind {
            RequestKind::Read => reply(sent),
            _ => Reply::errors(404, &[]),
        });
    }

    /// The same, by what was asked for.
    pub(crate) fn on_each(
        &self,
        address: &str,
        path: &str,
        reply: impl Fn(&Sent) -> Reply + Send + Sync + 'static,
    ) {
        let rule =
            Rule { address: address.to_owned(), path: path.to_owned(), reply: Arc::new(reply) };
        self.0.rules.lock().push(rule);
    }

    /// What was asked for so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.0.sent.lock().clone()
    }

    /// The requests of one kind so far.
    pub(crate) fn sent_for(&self, kind: RequestKind) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.kind == kind).collect()
    }

    /// Forgets what was asked for so far.
    pub(crate) fn forget_sent(&self) {
        self.0.sent.lock().clear();
    }

    fn receive(&self, address: &Address, request: &Request, headers: RequestHeaders<'_>) -> Reply {
        let token = match headers {
            RequestHeaders::Token(token) | RequestHeaders::TokenAfter { token, .. } => Some(token),
            RequestHeaders::Auth { token, .. } => token,
            RequestHeaders::Namespace | RequestHeaders::Nothing => None,
        };
        let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let sent = Sent {
            at: self.0.began.elapsed(),
            address: address.to_string(),
            kind: request.kind,
            line: format!("{} {}{query}", request.method, request.path),
            token: token.map(|token| token.to_header().to_str().unwrap().to_owned()),
            body: request.body.as_ref().map(|body| serde_json::from_slice(body).unwrap()),
        };
        self.0.sent.lock().push(sent.clone());
        let reply = {
            let rules = self.0.rules.lock();
            let fits = |rule: &&Rule| {
                (rule.address.is_empty() || rule.address == sent.address)
                    && (rule.path.is_empty() || rule.path == request.path)
            };
            rules.iter().rev().find(fits).map(|rule| Arc::clone(&rule.reply))
        };
        reply.expect("a rule for every request")(&sent)
    }
}

impl Transport for FakeVault {
    fn send<'a>(
        &'a self,
        address: &'a Address,
        request: &'a Request,
        headers: RequestHeaders<'a>,
    ) -> BoxFuture<'a, Result<ServerResponse, VaultError>> {
        Box::pin(async move {
            let Reply { after, outcome } = self.receive(address, request, headers);
            let address = address.to_string();
            let exchange = async {
                sleep(after).await;
                match outcome {
                    Outcome::Answer { body, .. } if body.len() > request.longest_answer => {
                        let cause = TransportError::TooLong(request.longest_answer);
                        Err(VaultError::NoAnswer { address: address.clone(), cause })
                    }
                    Outcome::Answer { status, headers, body, date } => Ok(ServerResponse {
                        status: StatusCode::from_u16(status).unwrap(),
                        body: Zeroizing::new(body),
                        location: header(&headers, "location").map(|url| url.parse().unwrap()),
                        retry_after: header(&headers, "retry-after")
                            .map(|seconds| Duration::from_secs(seconds.parse().unwrap())),
                        date,
                        headers,
                    }),
                    Outcome::NoAnswer(cause) => {
                        Err(VaultError::NoAnswer { address: address.clone(), cause })
                    }
                    Outcome::Hang => std::future::pending().await,
                }
            };
            timeout(REQUEST_TIMEOUT, exchange)
                .await
                .unwrap_or_else(|_| Err(VaultError::timed_out(address, REQUEST_TIMEOUT)))
        })
    }
}

type Answerer = Box<dyn Fn(&Sent) -> Reply + Send + Sync>;

fn in_turn(replies: impl IntoIterator<Item = Reply>) -> Answerer {
    let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
    Box::new(move |_| {
        let mut replies = replies.lock();
        let next = if replies.len() > 1 { replies.pop_front() } else { None };
        next.or_else(|| replies.front().cloned()).expect("a rule needs a reply")
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

impl Reply {
    /// JSON.
    pub(crate) fn json(status: u16, body: impl Into<Value>) -> Self {
        Self::text(status, "application/json", body.into().to_string())
    }

    /// An error as Vault words it.
    pub(crate) fn errors(status: u16, errors: &[&str]) -> Self {
        Self::json(status, json!({ "errors": errors }))
    }

    /// What `sys/health` answers with this status.
    pub(crate) fn health(status: u16) -> Self {
        let body = json!({
            "initialized": status != 501,
            "sealed": matches!(status, 501 | 503),
            "standby": matches!(status, 429 | 473),
            "performance_standby": status == 473,
            "version": "2.0.0",
            "server_time_utc": 1_700_000_000,
        });
        Self::json(status, body)
    }

    /// The newest version of an entry of a KV engine with versions.
    pub(crate) fn entry(version: u64, fields: &Value) -> Self {
        let metadata = json!({
            "created_time": "2026-01-01T00:00:00Z", "custom_metadata": null,
            "deletion_time": "", "destroyed": false, "version": version,
        });
        Self::data(&json!({"data": fields, "metadata": metadata}))
    }

    /// What a KV engine of this version answers about its mount.
    pub(crate) fn mount(path: &str, version: u8) -> Self {
        let options = json!({ "version": version.to_string() });
        Self::data(&json!({"path": format!("{path}/"), "type": "kv", "options": options}))
    }

    /// A success with this under `data`.
    pub(crate) fn data(data: &Value) -> Self {
        let answer = json!({
            "request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": data, "wrap_info": null, "warnings": null, "auth": null,
        });
        Self::json(200, answer)
    }

    /// Any body.
    pub(crate) fn text(status: u16, content_type: &'static str, body: String) -> Self {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        let outcome = Outcome::Answer { status, headers, body: body.into_bytes(), date: None };
        Self { after: Duration::ZERO, outcome }
    }

    /// No connection.
    pub(crate) fn unreachable() -> Self {
        let cause = "connection refused".to_owned();
        Self::no_answer(TransportError::Unreachable { cause, was_connected: false })
    }

    /// A connection that breaks once the request was sent.
    pub(crate) fn broken() -> Self {
        let cause = "connection reset".to_owned();
        Self::no_answer(TransportError::Unreachable { cause, was_connected: true })
    }

    /// No answer, for this reason.
    pub(crate) fn no_answer(cause: TransportError) -> Self {
        Self { after: Duration::ZERO, outcome: Outcome::NoAnswer(cause) }
    }

    /// No answer, until the request's time is over.
    pub(crate) fn hang() -> Self {
        Self { after: Duration::ZERO, outcome: Outcome::Hang }
    }

    /// The same after a while.
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// The same with another header, such as `location` or `retry-after`.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Outcome::Answer { headers, .. } = &mut self.outcome {
            let name = HeaderName::from_static(name);
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        self
    }

    /// The same with what the server's clock says, in seconds since 1970.
    pub(crate) fn dated(mut self, seconds: u64) -> Self {
        if let Outcome::Answer { date, .. } = &mut self.outcome {
            *date = Some(seconds);
        }
        self
    }
}
