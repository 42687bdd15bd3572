//! A homeserver that answers as a test says, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::gate::Gate;

/// What the homeserver knows and does.
#[derive(Default)]
pub struct State {
    /// The device of each token that works.
    pub tokens: Mutex<HashMap<String, String>>,
    /// Method and path of each request.
    pub asked: Mutex<Vec<String>>,
    /// Whether logins, logouts and questions are left unanswered.
    pub hangs: AtomicBool,
    /// The request that waits until it is not this one any more.
    pub held: watch::Sender<Option<&'static str>>,
    /// What each request goes through, if anything.
    pub gate: Mutex<Option<Arc<Gate>>>,
    /// Whether logouts fail.
    pub fails_logouts: AtomicBool,
    /// What is answered to the next logins in the place of a session.
    pub refusals: Mutex<Vec<(u16, Value)>>,
    /// Whether it has Matrix Authentication Service.
    pub has_mas: AtomicBool,
    /// Fields of the answer to a login that differ.
    pub login_answer: Mutex<Value>,
    /// Told of each login before it is answered.
    pub login_began: Notify,
    /// Most requests that there were at once.
    pub most_at_once: AtomicU32,
    at_once: AtomicU32,
    logins: AtomicU32,
}

/// A homeserver on loopback.
pub struct FakeHomeserver {
    pub url: String,
    pub state: Arc<State>,
}

impl FakeHomeserver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move { state.serve(stream).await });
            }
        });
        Self { url, state }
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.state.tokens.lock().len()
    }

    /// Has a request wait, and no other any more.
    pub fn hold(&self, request: &'static str) {
        self.state.held.send_replace(Some(request));
    }

    /// Has no request wait any more.
    pub fn release(&self) {
        self.state.held.send_replace(None);
    }

    /// How often a path was asked for.
    pub fn count(&self, request: &str) -> usize {
        self.state.asked.lock().iter().filter(|asked| *asked == request).count()
    }
}

/// A request that is being answered.
struct AtOnce<'a>(&'a State);

impl<'a> AtOnce<'a> {
    fn new(state: &'a State) -> Self {
        let at_once = state.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        state.most_at_once.fetch_max(at_once, Ordering::Relaxed);
        Self(state)
    }
}

impl Drop for AtOnce<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                if line == "\r\n" {
                    break;
                }
                head.push(line.trim().to_owned());
            }
            let header = |name: &str| {
                head.iter().find_map(|line| {
                    let (key, value) = line.split_once(": ")?;
                    key.eq_ignore_ascii_case(name).then(|| value.to_owned())
                })
            };
            let length = header("content-length").and_then(|length| length.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
            let request = head[0].trim_end_matches(" HTTP/1.1").to_owned();
            self.asked.lock().push(request.clone());
            let _at_once = AtOnce::new(&self);
            let token = header("authorization").unwrap_or_default().replace("Bearer ", "");
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let mut waiting = self.held.subscribe();
            waiting.wait_for(|held| held.is_none_or(|held| held != request)).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let answer = || self.answer(&request, &token, &body);
            let gate = self.gate.lock().clone();
            let answered = match gate {
                Some(gate) => gate.pass(answer).await,
                None => Some(answer()),
            };
            // The connection ends without an answer.
            let Some((status, answer)) = answered else { return };
            self.login_began.notify_waiters();
            let answer = answer.to_string();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &str, token: &str, body: &Value) -> (u16, Value) {
        let has_mas = self.has_mas.load(Ordering::Relaxed);
        let mut tokens = self.tokens.lock();
        let unknown = (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "?"}));
        let (method, path) = request.split_once(' ').unwrap();
        let prefix = if has_mas { "/_synapse/client/vault_auth" } else { "/_matrix/client/v3" };
        match (method, path.strip_prefix(prefix).unwrap_or(path)) {
            ("POST", "/login") => {
                if let Some(refusal) = self.refusals.lock().pop() {
                    return refusal;
                }
                let number = self.logins.fetch_add(1, Ordering::Relaxed);
                let token = format!("syt_{number}");
                let device = body["device_id"].as_str().unwrap().to_owned();
                let user = body["identifier"]["user"].as_str().unwrap();
                let mut answer = json!({
                    "user_id": user, "access_token": token, "device_id": device, "home_server": "x",
                });
                for (key, value) in self.login_answer.lock().as_object().into_iter().flatten() {
                    answer[key] = value.clone();
                }
                tokens.insert(token, device);
                (200, answer)
            }
            ("POST", "/logout") if self.fails_logouts.load(Ordering::Relaxed) => {
                (500, json!({"errcode": "M_UNKNOWN", "error": "?"}))
            }
            ("POST", "/logout") => match tokens.remove(token) {
                None => unknown,
                Some(device) => {
                    tokens.retain(|_, other| *other != device);
                    (200, json!({}))
                }
            },
            ("GET", "/login") => (200, json!({"flows": [{"type": "io.t2bot.vault"}]})),
            ("GET", "/account/whoami" | "/_matrix/client/v3/account/whoami") => {
                if tokens.contains_key(token) {
                    (200, json!({"user_id": "@alice:example.org"}))
                } else {
                    unknown
                }
            }
            ("GET", "/_matrix/client/versions") => (200, json!({"versions": ["v1.1"]})),
            ("GET", "/_matrix/client/v1/auth_metadata") if has_mas => {
                (200, json!({"issuer": "https://mas.example.org/"}))
            }
            _ => (404, json!({"errcode": "M_UNRECOGNIZED", "error": "?"})),
        }
    }
}
