//! A homeserver, what a host keeps for a mount, and processes that come and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use synapse_vault_auth_provider_core::notice::Notices;
use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, spawn_blocking};

use super::super::super::Engine;
use super::super::super::fake_homeserver::FakeHomeserver;
use super::super::super::gate::Gate;
use super::super::clock::StoppedClock;
use crate::backend::Mount;
use crate::logical::{
    Backend, Data, HeldLease, Host, Lease, LogicalError, Operation, ReplicationState, Request,
    Response, Storage, StorageEntry, StorageError, SystemView,
};

pub const CONFIG_USER: &str = "config/user/alice/example.org";

/// What a call ends with.
pub type Outcome = Result<Option<Response>, LogicalError>;

/// What a host keeps for a mount. Every operation of storage goes through the gate.
#[derive(Default)]
pub struct Kept {
    pub entries: Mutex<BTreeMap<String, Vec<u8>>>,
    gate: Mutex<Option<Arc<Gate>>>,
}

/// All that outlives a process.
pub struct World {
    pub kept: Arc<Kept>,
    pub homeserver: FakeHomeserver,
    _homeserver_runtime: Runtime,
}

/// A process with one mount.
pub struct Process {
    engine: Arc<Engine>,
    clock: StoppedClock,
    runtime: Runtime,
}

/// What there is before a call.
#[derive(Clone)]
pub struct Snapshot {
    entries: BTreeMap<String, Vec<u8>>,
    tokens: HashMap<String, String>,
}

impl World {
    /// With a homeserver and a user that are configured.
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let homeserver = runtime.block_on(FakeHomeserver::start());
        let world = Self { kept: Arc::default(), homeserver, _homeserver_runtime: runtime };
        let process = Process::start(&world);
        let server = json!({"cs_url": world.homeserver.url});
        let configured = process.ask(Operation::Create, "config/homeserver/example.org", server);
        assert!(configured.unwrap().unwrap().warnings.is_empty());
        process.ask(Operation::Create, CONFIG_USER, json!({})).unwrap();
        world
    }

    /// Has every operation of storage, and every request to the homeserver, go through a gate.
    pub fn set_gate(&self, gate: Option<Arc<Gate>>) {
        (*self.kept.gate.lock()).clone_from(&gate);
        *self.homeserver.state.gate.lock() = gate;
    }

    pub fn snapshot(&self) -> Snapshot {
        let tokens = self.homeserver.state.tokens.lock().clone();
        Snapshot { entries: self.kept.entries.lock().clone(), tokens }
    }

    pub fn restore(&self, snapshot: &Snapshot) {
        self.kept.entries.lock().clone_from(&snapshot.entries);
        self.homeserver.state.tokens.lock().clone_from(&snapshot.tokens);
    }

    /// The keys below a prefix.
    pub fn stored(&self, prefix: &str) -> Vec<String> {
        let entries = self.kept.entries.lock();
        entries.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Has all logins that were written down begun an hour ago.
    pub fn age(&self) {
        for (key, value) in self.kept.entries.lock().iter_mut() {
            if key.starts_with("opening/") {
                let mut opening: Value = serde_json::from_slice(value).unwrap();
                opening["began_ms"] = json!(opening["began_ms"].as_u64().unwrap() - 3_600_000);
                *value = opening.to_string().into_bytes();
            }
        }
    }
}

impl Process {
    /// Starts one on what is kept.
    pub fn start(world: &World) -> Self {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let clock = runtime.block_on(async { StoppedClock::new() });
        let storage = Arc::clone(&world.kept);
        let host = Host { storage, system: Arc::new(Active), notices: Notices::new(drop) };
        let engine = Arc::new(Engine { mount: Mount::new(host) });
        Self { engine, clock, runtime }
    }

    /// Begins a call.
    pub fn begin(&self, request: Request) -> JoinHandle<Outcome> {
        let engine = Arc::clone(&self.engine);
        self.runtime.spawn(async move { engine.handle(request).await })
    }

    /// Goes on until something holds.
    pub fn run_until(&self, holds: impl Fn() -> bool) {
        let began = Instant::now();
        self.runtime.block_on(async {
            while !holds() {
                assert!(began.elapsed() < Duration::from_secs(60), "it never came to that");
                let nap = || std::thread::sleep(Duration::from_micros(300));
                spawn_blocking(nap).await.unwrap();
            }
        });
    }

    /// Goes on for a moment.
    pub fn run_for(&self, time: Duration) {
        let began = Instant::now();
        self.run_until(|| began.elapsed() >= time);
    }

    /// Whether nothing goes on behind the calls.
    pub fn is_idle(&self) -> bool {
        let mount = &self.engine.mount;
        mount.under_way.is_idle() && !mount.is_ticking.load(Ordering::Acquire)
    }

    /// The answer of a call that has ended.
    pub fn answer(&self, call: JoinHandle<Outcome>) -> Outcome {
        self.run_until(|| call.is_finished());
        self.runtime.block_on(call).unwrap()
    }

    /// Has a call wait for its answer until something holds, and gives it up without looking again.
    pub fn give_up_unheard(&self, request: Request, holds: impl Fn() -> bool) {
        let engine = Arc::clone(&self.engine);
        let _in_runtime = self.runtime.enter();
        let mut call = engine.handle(request);
        self.runtime.block_on(async {
            while self.is_idle() {
                assert!((&mut call).now_or_never().is_none());
                tokio::task::yield_now().await;
            }
        });
        self.run_until(holds);
        // Until the answer waits to be taken.
        for _ in 0..20 {
            self.runtime.block_on(tokio::task::yield_now());
        }
        drop(call);
        self.run_until(|| self.is_idle());
    }

    pub fn ask(&self, operation: Operation, path: &str, fields: Value) -> Outcome {
        let Value::Object(data) = fields else { panic!("no object") };
        let answer = self.answer(self.begin(request(operation, path, data, None)));
        self.run_until(|| self.is_idle());
        answer
    }

    pub fn revoke(&self, lease: &HeldLease) -> Outcome {
        self.answer(self.begin(request(Operation::Revoke, "", Data::new(), Some(lease.clone()))))
    }

    /// An hour passes, and the host has the mount clear up.
    pub fn tick(&self, world: &World) {
        world.age();
        self.ask(Operation::Rollback, "", json!({})).unwrap();
        self.runtime.block_on(self.clock.advance(2 * 3600));
    }
}

pub fn request(operation: Operation, path: &str, data: Data, lease: Option<HeldLease>) -> Request {
    Request { operation, path: path.to_owned(), data, lease, mount_point: "matrix/".to_owned() }
}

/// A lease as the host keeps it.
pub fn held(lease: Lease) -> HeldLease {
    HeldLease {
        internal_data: lease.internal_data,
        issue_time: Some(SystemTime::now()),
        increment: Duration::ZERO,
        ttl: lease.ttl,
    }
}

impl Kept {
    async fn pass<T>(&self, operation: impl FnOnce() -> T) -> Result<T, StorageError> {
        let gate = self.gate.lock().clone();
        let done = match gate {
            Some(gate) => gate.pass(operation).await,
            None => Some(operation()),
        };
        done.ok_or_else(|| StorageError("it failed".to_owned()))
    }
}

impl Storage for Kept {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StorageError>> {
        Box::pin(self.pass(move || self.entries.lock().get(key).cloned()))
    }

    fn put(&self, entry: StorageEntry) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.pass(move || drop(self.entries.lock().insert(entry.key, entry.value))))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.pass(move || drop(self.entries.lock().remove(key))))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        Box::pin(self.pass(move || {
            let entries = self.entries.lock();
            entries.keys().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect()
        }))
    }
}

/// The active node of the primary cluster.
struct Active;

impl SystemView for Active {
    fn default_lease_ttl(&self) -> BoxFuture<'_, Result<Duration, StorageError>> {
        Box::pin(async { Ok(Duration::from_secs(3600)) })
    }

    fn max_lease_ttl(&self) -> BoxFuture<'_, Result<Duration, StorageError>> {
        Box::pin(async { Ok(Duration::from_secs(7200)) })
    }

    fn is_tainted(&self) -> BoxFuture<'_, Result<bool, StorageError>> {
        Box::pin(async { Ok(false) })
    }

    fn replication_state(&self) -> BoxFuture<'_, Result<ReplicationState, StorageError>> {
        Box::pin(async { Ok(ReplicationState::default()) })
    }
}
