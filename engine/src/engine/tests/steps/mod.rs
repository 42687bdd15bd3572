//! Calls that are stopped at each of their steps: each operation of storage, and each request to the
//! homeserver. In the end no session is left but those that somebody holds, and no secret is lost.

mod world;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use self::world::{CONFIG_USER, Outcome, Process, Snapshot, World, held, request};
use super::super::gate::{Fate, Gate, Moment};
use super::site::{STATIC, USER};
use crate::logical::{Data, HeldLease, Operation, Request, Response};

const LOGIN: &str = "login/@alice:example.org";

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accident {
    /// The plugin is killed, and started again.
    Kill,
    /// The client hangs up.
    HangUp,
    /// The step fails.
    Failure,
}

const ACCIDENTS: [(Accident, Moment); 6] = [
    (Accident::Kill, Moment::Before),
    (Accident::Kill, Moment::After),
    (Accident::HangUp, Moment::Before),
    (Accident::HangUp, Moment::After),
    (Accident::Failure, Moment::Before),
    (Accident::Failure, Moment::After),
];

/// A call, and what there is before it.
struct Case {
    world: World,
    before: Snapshot,
    /// The leases that the host keeps.
    leases: Vec<HeldLease>,
    request: Request,
    /// Whether the secret and the user are the same in the end.
    keeps_secret: bool,
}

impl Case {
    fn new(operation: Operation, path: &str, prepare: impl Fn(&World, &Process)) -> Self {
        let world = World::new();
        prepare(&world, &Process::start(&world));
        let request = request(operation, path, Data::new(), None);
        let before = world.snapshot();
        Self { world, before, leases: Vec::new(), request, keeps_secret: true }
    }

    /// Has each accident happen at each step, until the call ends before it gets there.
    fn check(&self) {
        for (accident, moment) in ACCIDENTS {
            let steps = (1..1000).find(|step| !self.check_step(*step, accident, moment)).unwrap();
            assert!(steps > 2, "{accident:?} {moment:?}: {steps}");
        }
    }

    /// Returns whether there is such a step.
    fn check_step(&self, step: usize, accident: Accident, moment: Moment) -> bool {
        let world = &self.world;
        world.restore(&self.before);
        let secret = secret(&Process::start(world));
        let fate = if accident == Accident::Failure { Fate::Fails } else { Fate::Stops };
        let gate = Arc::new(Gate::new(step, fate, moment));
        let mut process = Process::start(world);
        world.set_gate(Some(Arc::clone(&gate)));
        let call = process.begin(self.request.clone());
        let is_over = || call.is_finished() && process.is_idle();
        let is_stopped = || gate.is_reached() && accident != Accident::Failure;
        process.run_until(|| is_over() || is_stopped());
        let is_reached = gate.is_reached();
        let mut answer = None;
        if call.is_finished() {
            answer = Some(process.answer(call));
        } else {
            call.abort();
            drop(call);
        }
        if is_reached && accident == Accident::Kill {
            gate.abandon();
            drop(process);
            world.set_gate(None);
            process = Process::start(world);
        } else {
            gate.open();
            process.run_until(|| process.is_idle());
            world.set_gate(None);
        }
        let place = format!("{accident:?} {moment:?} {step}");
        let must_live = accident != Accident::Kill;
        self.check_end(&process, answer, must_live, &secret, &place);
        is_reached
    }

    /// What is left when the host has had the mount clear up, and has revoked what it could not.
    fn check_end(
        &self,
        process: &Process,
        answer: Option<Outcome>,
        must_live: bool,
        secret: &Value,
        place: &str,
    ) {
        let world = &self.world;
        let answered = answer.and_then(Result::ok).flatten().and_then(|answer| answer.lease);
        let answered = answered.map(held);
        if self.request.operation == Operation::Revoke {
            // A host that had no answer, or an error, tries again.
            let lease = self.request.lease.as_ref().unwrap();
            assert!(process.revoke(lease).is_ok(), "{place}");
        }
        for _ in 0..3 {
            process.tick(world);
        }
        for prefix in ["opening/", "pending/"] {
            assert_eq!(world.stored(prefix), Vec::<String>::new(), "{place}");
        }
        let leases: Vec<_> = self.leases.iter().chain(&answered).collect();
        assert!(world.stored("open/").len() <= leases.len(), "{place}");
        let mut held: Vec<String> = leases.iter().map(|lease| token(lease)).collect();
        let alive: Vec<String> = world.homeserver.state.tokens.lock().keys().cloned().collect();
        if must_live {
            assert!(held.iter().all(|token| alive.contains(token)), "{place}");
        }
        if !world.stored("static/").is_empty() {
            let session = process.ask(Operation::Read, STATIC, json!({})).unwrap().unwrap();
            held.push(text(&session, "access_token"));
            let alive = world.homeserver.state.tokens.lock();
            assert!(alive.contains_key(held.last().unwrap()), "{place}");
        }
        let alive: Vec<String> = world.homeserver.state.tokens.lock().keys().cloned().collect();
        assert!(alive.iter().all(|token| held.contains(token)), "{place}: {alive:?} {held:?}");
        if self.keeps_secret {
            assert_eq!(*secret, self::secret(process), "{place}");
        }
        if process.ask(Operation::Read, CONFIG_USER, json!({})).unwrap().is_some() {
            assert_ne!(self::secret(process), Value::Null, "{place}");
            assert!(process.ask(Operation::Read, USER, json!({})).is_ok(), "{place}");
        }
    }
}

fn text(response: &Response, name: &str) -> String {
    response.data.as_ref().unwrap()[name].as_str().unwrap().to_owned()
}

fn token(lease: &HeldLease) -> String {
    lease.internal_data["session"]["access_token"].as_str().unwrap().to_owned()
}

/// The secret of the user, if there is one.
fn secret(process: &Process) -> Value {
    let entry = process.ask(Operation::Read, LOGIN, json!({})).unwrap();
    entry.map_or(Value::Null, |entry| entry.data.unwrap()["login_secret"].clone())
}

fn nothing(_: &World, _: &Process) {}

fn open_static(_: &World, process: &Process) {
    process.ask(Operation::Read, STATIC, json!({})).unwrap();
}

/// A session with a lease.
fn lease(process: &Process) -> HeldLease {
    held(process.ask(Operation::Read, USER, json!({})).unwrap().unwrap().lease.unwrap())
}

/// A session of which nobody has heard: its login is written down as one that was not answered.
fn open_unheard(world: &World, process: &Process) {
    lease(process);
    let mark = world.stored("open/").pop().unwrap();
    let key = format!("opening/{}", mark.rsplit_once("%2E").unwrap().1);
    let entry = world.kept.entries.lock().remove(&mark).unwrap();
    world.kept.entries.lock().insert(key, entry);
}

#[test]
fn a_read_of_user() {
    Case::new(Operation::Read, USER, nothing).check();
}

#[test]
fn the_first_read_of_static() {
    Case::new(Operation::Read, STATIC, nothing).check();
}

#[test]
fn a_read_of_static_whose_session_has_ended() {
    let case = Case::new(Operation::Read, STATIC, |world, process| {
        open_static(world, process);
        world.homeserver.state.tokens.lock().clear();
    });
    case.check();
}

#[test]
fn a_delete_of_static() {
    Case::new(Operation::Delete, STATIC, open_static).check();
}

#[test]
fn a_rotation() {
    let case = Case::new(Operation::Update, "rotate/alice/example.org", nothing);
    Case { keeps_secret: false, ..case }.check();
}

#[test]
fn a_delete_of_a_user() {
    let case = Case::new(Operation::Delete, CONFIG_USER, |world, process| {
        open_static(world, process);
        open_unheard(world, process);
    });
    Case { keeps_secret: false, ..case }.check();
}

#[test]
fn a_revocation() {
    let world = World::new();
    let revoked = lease(&Process::start(&world));
    let before = world.snapshot();
    let request = request(Operation::Revoke, "", Data::new(), Some(revoked));
    Case { world, before, leases: Vec::new(), request, keeps_secret: true }.check();
}

#[test]
fn a_tick() {
    let case = Case::new(Operation::Rollback, "", |world, process| {
        open_unheard(world, process);
        // One that is past its latest end.
        lease(process);
        let mark = world.stored("open/").pop().unwrap();
        let entry = world.kept.entries.lock().remove(&mark).unwrap();
        let id = mark.rsplit_once("%2E").unwrap().1;
        world.kept.entries.lock().insert(format!("open/{:012x}%2E{id}", 1), entry);
        // And one whose end was not confirmed.
        let pending = lease(process);
        let mut session = pending.internal_data["session"].clone();
        session["version"] = json!(1);
        session["since_ms"] = json!(1);
        session["reason"] = json!("?");
        let mut entries = world.kept.entries.lock();
        entries.insert("pending/one".to_owned(), session.to_string().into_bytes());
        entries.retain(|key, _| !key.starts_with("open/") || key.starts_with("open/000000000001"));
        drop(entries);
        world.age();
    });
    case.check();
}

/// A call whose answer is there, and that goes before it takes it.
#[test]
fn a_read_that_is_given_up_when_its_answer_is_there() {
    let world = World::new();
    let process = Process::start(&world);
    let request = request(Operation::Read, USER, Data::new(), None);
    process.give_up_unheard(request, || !world.stored("open/").is_empty());
    assert_eq!(world.homeserver.sessions(), 0);
    assert!(world.stored("open/").is_empty() && world.stored("opening/").is_empty());
}

/// A change that nobody waits for any more, while a write of it is still on its way.
#[test]
fn a_change_holds_others_off_until_its_write_is_done() {
    let world = World::new();
    let process = Process::start(&world);
    let rotation = request(Operation::Update, "rotate/alice/example.org", Data::new(), None);
    // Its homeserver and its user are read before.
    let gate = Arc::new(Gate::new(3, Fate::Stops, Moment::Before));
    world.set_gate(Some(Arc::clone(&gate)));
    let call = process.begin(rotation);
    process.run_until(|| gate.is_reached());
    call.abort();
    let given = [("login_secret".to_owned(), json!("given"))].into_iter().collect();
    let other = process.begin(request(Operation::Update, CONFIG_USER, given, None));
    // It would be written meanwhile, and overwritten later.
    process.run_for(Duration::from_millis(50));
    assert!(!other.is_finished());
    gate.open();
    assert!(process.answer(other).is_ok());
    process.run_until(|| process.is_idle());
    assert_eq!(secret(&process), "given");
}
