//! Tokens on virtual time.

mod given_watcher;
mod login_watcher;
mod manager;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::auth::{AuthCredentials, AuthMethod};
use super::source::TokenSource;
use crate::credential::Credential;
use crate::notice::{Level, Notice, Notices};
use crate::sync::Mutex;
use crate::vault::fake::{FakeVault, Reply, Sent};
use crate::vault::request::{Request, RequestKind};
use crate::vault::transport::ServerResponse;
use crate::vault::{AuthNamespace, Client, Config, Token, VaultError};

const READ: &str = "kv/deep/data/users/a";
const LOOKUP: &str = "auth/token/lookup-self";
const RENEWAL: &str = "auth/token/renew-self";
const LOGIN: &str = "auth/approle/login";
const MOUNT: &str = "sys/internal/ui/mounts/kv/deep";

/// A Vault that keeps tokens, and a module that uses it.
struct Stage {
    vault: FakeVault,
    tokens: Arc<Mutex<HashMap<String, Entry>>>,
    client: Arc<Client>,
    notices: Arc<Mutex<Vec<(Duration, Notice)>>>,
    began: Instant,
}

/// A token as Vault keeps it. Times are since the beginning.
#[derive(Clone, Debug)]
struct Entry {
    /// What a renewal grants.
    ttl: Duration,
    end: Option<Duration>,
    last_day: Option<Duration>,
    renewable: bool,
    may_look_up: bool,
    may_read: bool,
    uses: Option<u64>,
}

impl Entry {
    /// A token that may be renewed for ever.
    fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            end: Some(ttl),
            last_day: None,
            renewable: true,
            may_look_up: true,
            may_read: true,
            uses: None,
        }
    }

    fn is_alive(&self, at: Duration) -> bool {
        self.end.is_none_or(|end| at < end) && self.uses != Some(0)
    }

    fn renew(&mut self, at: Duration) {
        let end = self.last_day.map_or(at + self.ttl, |last| last.min(at + self.ttl));
        self.end = Some(end);
    }

    fn left(&self, at: Duration) -> u64 {
        self.end.map_or(0, |end| end.saturating_sub(at).as_secs())
    }

    fn auth(&self, token: &str, at: Duration) -> Reply {
        let auth = json!({
            "client_token": token, "lease_duration": self.left(at), "renewable": self.renewable,
            "num_uses": self.uses.unwrap_or(0),
        });
        Reply::json(200, json!({ "auth": auth }))
    }

    /// The answer to a request with this token.
    fn answer(&mut self, path: &str, at: Duration) -> Reply {
        let denied = Reply::errors(403, &["permission denied"]);
        if !self.is_alive(at) {
            return denied;
        }
        if let Some(uses) = &mut self.uses {
            *uses -= 1;
        }
        match path {
            LOOKUP if self.may_look_up => Reply::data(&json!({
                "ttl": self.left(at), "renewable": self.renewable,
                "expire_time": self.end.map(|_| "then"),
            })),
            RENEWAL if self.may_look_up => {
                self.renew(at);
                self.auth("t", at)
            }
            MOUNT if self.may_read => Reply::mount("kv/deep", 2),
            READ if self.may_read => Reply::errors(404, &[]),
            _ => denied,
        }
    }
}

impl Stage {
    /// A module with a token in its configuration, which Vault keeps so.
    fn with_given(entry: Entry) -> Self {
        let token = Token::parse(&"t".into()).unwrap();
        let stage = Self::new(TokenSource::Static(token));
        stage.tokens.lock().insert("t".to_owned(), entry);
        stage
    }

    /// A module that logs in. Each login gets such a token.
    fn with_login(entry: Entry) -> Self {
        let credential = || Credential::Inline("x".into());
        let credentials = AuthCredentials::AppRole {
            role_id: credential(),
            secret_id: Some(credential()),
            unwrapped: None,
        };
        let method = AuthMethod {
            mount: "approle".to_owned(),
            namespace: AuthNamespace::Configured,
            credentials,
        };
        let stage = Self::new(TokenSource::Login(method));
        stage.grant(entry);
        stage
    }

    fn new(source: TokenSource) -> Self {
        let vault = FakeVault::new();
        let tokens = Arc::<Mutex<HashMap<String, Entry>>>::default();
        let known = Arc::clone(&tokens);
        vault.on_each("", "", move |sent: &Sent| {
            let path = sent.line.split(' ').nth(1).unwrap();
            match sent.token.as_ref().and_then(|token| known.lock().get_mut(token).cloned()) {
                None => Reply::errors(403, &["permission denied"]),
                Some(mut entry) => {
                    let reply = entry.answer(path, sent.at);
                    known.lock().insert(sent.token.clone().unwrap(), entry);
                    reply
                }
            }
        });
        vault.on("", "sys/health", [Reply::health(200)]);
        let notices = Arc::<Mutex<Vec<(Duration, Notice)>>>::default();
        let (log, began) = (Arc::clone(&notices), Instant::now());
        let sink = Notices::new(move |notice| log.lock().push((began.elapsed(), notice)));
        let config = Config { token_source: source, ..Config::of_test("http://v:8200") };
        let client = Arc::new(Client::with_transport(&config, sink, vault.transport()));
        Self { vault, tokens, client, notices, began }
    }

    /// From now on, logins get such a token, whose times begin with the login.
    fn grant(&self, entry: Entry) {
        let tokens = Arc::clone(&self.tokens);
        self.vault.on_each("", LOGIN, move |sent: &Sent| {
            let mut entry = entry.clone();
            entry.end = entry.end.map(|end| sent.at + end);
            entry.last_day = entry.last_day.map(|last| sent.at + last);
            let mut tokens = tokens.lock();
            let token = format!("t{}", tokens.len());
            let reply = entry.auth(&token, sent.at);
            tokens.insert(token, entry);
            reply
        });
    }

    /// Keeps the token alive from now on.
    fn watch(&self) {
        tokio::spawn(self.client.watch());
    }

    /// Reads something in the mount; a 404 is a success.
    async fn read(&self) -> Result<ServerResponse, VaultError> {
        self.client.send(&Request::get(RequestKind::Read, READ)).await
    }

    /// Reads as many times at once.
    async fn read_at_once(&self, times: usize) -> Vec<Result<ServerResponse, VaultError>> {
        futures_util::future::join_all((0..times).map(|_| self.read())).await
    }

    fn sent(&self, kind: RequestKind) -> Vec<Duration> {
        self.vault.sent_for(kind).into_iter().map(|sent| sent.at).collect()
    }

    fn logins(&self) -> usize {
        self.sent(RequestKind::Login).len()
    }

    /// Vault forgets all tokens.
    fn revoke_all(&self) {
        for entry in self.tokens.lock().values_mut() {
            entry.end = Some(Duration::ZERO);
        }
    }

    /// Changes all tokens.
    fn change(&self, change: impl Fn(&mut Entry)) {
        self.tokens.lock().values_mut().for_each(change);
    }

    /// The lines of this level so far, with their times.
    fn noticed(&self, level: Level) -> Vec<(Duration, String)> {
        let notices = self.notices.lock();
        let of_level = notices.iter().filter(|(_, notice)| notice.level == level);
        of_level.map(|(at, notice)| (*at, notice.text.clone())).collect()
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(3600 * hours)
}

/// The time between each and the next.
fn waits(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
}

fn refusal(status: u16) -> Reply {
    Reply::errors(status, &["refused"])
}
