//! Logins on virtual time, with a Vault that answers what a test says.

use serde_json::json;

use super::*;
use crate::http::TransportError;
use crate::login::config::CacheConfig;
use crate::notice::Notice;
use crate::sync::Mutex;
use crate::token_hash::{PresentedHash, token_hash};
use crate::user_id::UserId;
use crate::vault::fake::{FakeVault, Reply, Sent};
use crate::vault::{self, Client, RequestKind};

const ALICE: &str = "@alice:example.org";

/// The time one login has.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

const SECOND: Duration = Duration::from_secs(1);

/// A Vault, and the logins that are decided by it.
struct Site {
    vault: FakeVault,
    decider: Arc<LoginDecider>,
    notices: Arc<Mutex<Vec<String>>>,
}

/// The usual configuration, without cache and rotation grace.
fn config() -> Config {
    let nothing =
        CacheConfig { ttl: Duration::ZERO, stale_if_error: Duration::ZERO, max_entries: 10 };
    Config {
        vault: vault::Config::of_test("http://127.0.0.1:8200"),
        login_timeout: LOGIN_TIMEOUT,
        max_concurrent_lookups: 256,
        cache: nothing,
        rotation_grace: Duration::ZERO,
        allow_registration: false,
        mas: None,
    }
}

fn stale_for_an_hour() -> Config {
    let cache = CacheConfig { stale_if_error: Duration::from_secs(3600), ..config().cache };
    Config { cache, ..config() }
}

impl Site {
    fn new(config: &Config) -> Self {
        let vault = FakeVault::new();
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let sink = Notices::new(move |Notice { text, .. }| sink.lock().push(text));
        let client = Client::with_transport(&config.vault, sink.clone(), vault.transport());
        let server_name = "example.org".to_owned();
        let reader = EntryReader::new(client, config.clone(), server_name, sink.clone());
        let decider = LoginDecider::new(Arc::new(reader), config, sink);
        Self { vault, decider: Arc::new(decider), notices }
    }

    /// From now on, reads of entries are answered so, one after the other.
    fn answers<const N: usize>(&self, replies: [Reply; N]) {
        self.vault.on_reads(replies);
    }

    /// Logs a user in with the hash of this secret.
    fn log_in(&self, secret: &str) -> impl Future<Output = Outcome> + Send + use<> {
        let decider = Arc::clone(&self.decider);
        let user_id = UserId::parse(ALICE, "example.org").unwrap();
        let presented = PresentedHash::parse(&token_hash(secret, ALICE)).unwrap();
        async move {
            let attempt =
                LoginAttempt { user_id, is_registered: true, may_register: false, presented };
            if decider.fits_memory(&attempt) {
                return decider.accept_from_memory();
            }
            decider.decide(&attempt).await
        }
    }

    fn reads(&self) -> Vec<Sent> {
        self.vault.sent_for(RequestKind::Read)
    }
}

/// The path at which a user's entry is read.
fn entry(user_id: &str) -> String {
    format!("kv/deep/data/matrix/users/{user_id}")
}

/// The first version of an entry, with this secret.
fn secret(text: &str) -> Reply {
    Reply::entry(1, &json!({ "login_secret": text }))
}

fn sealed() -> Reply {
    Reply::errors(503, &["Vault is sealed"])
}

#[tokio::test(start_paused = true)]
async fn logins_of_one_user_share_a_read_that_lets_them_in() {
    let site = Site::new(&config());
    site.answers([secret("s").after(SECOND)]);
    let first = tokio::spawn(site.log_in("s"));
    sleep(SECOND / 2).await;
    assert_eq!(site.log_in("s").await.code, Code::Ok);
    assert_eq!(first.await.unwrap().code, Code::Ok);
    assert_eq!(site.reads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_a_login_does_not_refuse_it() {
    let site = Site::new(&config());
    site.answers([secret("old").after(SECOND), secret("new").after(SECOND)]);
    let first = tokio::spawn(site.log_in("old"));
    sleep(SECOND / 2).await;
    // Its client has read the new secret meanwhile.
    assert_eq!(site.log_in("new").await.code, Code::Ok);
    assert_eq!(first.await.unwrap().code, Code::Ok);
    assert_eq!(site.reads().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_begins_after_a_login_may_refuse_it_whoever_started_it() {
    let site = Site::new(&config());
    site.answers([secret("s").after(SECOND)]);
    let first = tokio::spawn(site.log_in("s"));
    sleep(SECOND / 2).await;
    let refused = [tokio::spawn(site.log_in("t")), tokio::spawn(site.log_in("u"))];
    for login in refused {
        assert_eq!(login.await.unwrap().code, Code::BadHash);
    }
    assert_eq!(first.await.unwrap().code, Code::Ok);
    assert_eq!(site.reads().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_for_its_turn_is_late_enough_for_all_who_wait_with_it() {
    let site = Site::new(&Config { max_concurrent_lookups: 1, ..config() });
    site.answers([secret("s").after(SECOND)]);
    site.vault.on("", &entry("@bob:example.org"), [secret("s").after(SECOND)]);
    let bob = UserId::parse("@bob:example.org", "example.org").unwrap();
    let others = site.decider.reader().read(&ReadKey { user_id: bob, number: None });
    let others = tokio::spawn(others.found);
    sleep(SECOND / 4).await;
    let first = tokio::spawn(site.log_in("t"));
    sleep(SECOND / 4).await;
    assert_eq!(site.log_in("u").await.code, Code::BadHash);
    assert_eq!(first.await.unwrap().code, Code::BadHash);
    assert!(others.await.unwrap().is_ok());
    assert_eq!(site.reads().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_out() {
    let site = Site::new(&config());
    let limited = Reply::errors(429, &["quota"]).with_header("retry-after", "3");
    site.answers([sealed(), limited, Reply::unreachable(), Reply::broken(), secret("s")]);
    let began = Instant::now();
    assert_eq!(site.log_in("s").await.code, Code::Ok);
    assert!(began.elapsed() >= 3 * SECOND);
    assert_eq!(site.reads().len(), 5);
    assert_eq!(site.decider.reader().kv().client().metrics().retries.get(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_ends_a_login_at_once() {
    for (reply, code) in [
        (Reply::errors(400, &["odd"]), Code::VaultError),
        (Reply::errors(404, &["no handler for route"]), Code::VaultError),
        // It asks to wait for longer than there is.
        (Reply::errors(429, &["quota"]).with_header("retry-after", "60"), Code::VaultUnavailable),
    ] {
        let site = Site::new(&config());
        site.answers([reply]);
        let began = Instant::now();
        assert_eq!(site.log_in("s").await.code, code);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(site.reads().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_error_ends_a_login_at_once_and_memory_serves() {
    let site = Site::new(&stale_for_an_hour());
    site.answers([secret("s")]);
    assert_eq!(site.log_in("s").await.code, Code::Ok);
    let expired = "the server's certificate has expired".to_owned();
    let no_tls = "does not speak TLS".to_owned();
    for (error, code) in [
        (TransportError::Certificate(expired), Code::VaultUnavailable),
        (TransportError::Protocol { cause: no_tls, was_sent: false }, Code::VaultError),
    ] {
        site.answers([Reply::no_answer(error)]);
        assert_eq!(site.log_in("s").await.code, Code::Ok);
        let (before, began) = (site.reads().len(), Instant::now());
        assert_eq!(site.log_in("t").await.code, code);
        assert_eq!((site.reads().len(), began.elapsed()), (before + 1, Duration::ZERO));
    }
    site.answers([secret("t")]);
    assert_eq!(site.log_in("t").await.code, Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_node_with_a_bad_certificate_is_passed_over() {
    let mut config = config();
    let others = vault::Config::of_test("http://127.0.0.1:8201").connection.addresses;
    config.vault.connection.addresses.extend(others);
    let site = Site::new(&config);
    site.answers([secret("s")]);
    site.vault.on("", "sys/health", [Reply::health(200)]);
    let error = TransportError::Certificate("the server's certificate has expired".to_owned());
    site.vault.on("http://127.0.0.1:8200", "", [Reply::no_answer(error)]);
    assert_eq!(site.log_in("s").await.code, Code::Ok);
    assert_eq!(site.log_in("t").await.code, Code::BadHash);
}

#[tokio::test(start_paused = true)]
async fn the_last_error_is_told_when_the_time_is_over() {
    let site = Site::new(&config());
    site.answers([sealed()]);
    let began = Instant::now();
    let outcome = site.log_in("s").await;
    assert_eq!(outcome.code, Code::VaultUnavailable);
    assert!(outcome.reason.contains("Vault is sealed"), "{}", outcome.reason);
    // It does not stop asking long before the end, nor does it ask without a pause.
    assert!(began.elapsed() + SECOND > LOGIN_TIMEOUT && began.elapsed() <= LOGIN_TIMEOUT);
    assert!((8..60).contains(&site.reads().len()), "{}", site.reads().len());
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_hangs_is_a_timeout() {
    let site = Site::new(&config());
    site.answers([Reply::hang()]);
    let began = Instant::now();
    assert_eq!(site.log_in("s").await.code, Code::Timeout);
    assert_eq!(began.elapsed(), LOGIN_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_turn_does_not_come_is_overload() {
    let site = Site::new(&Config { max_concurrent_lookups: 1, ..config() });
    for number in 0..5 {
        let path = entry(&format!("@user{number}:example.org"));
        site.vault.on("", &path, [secret("s").after(3 * SECOND)]);
    }
    let reader = site.decider.reader();
    let others: Vec<_> = (0..5)
        .map(|number| {
            let user_id = UserId::from_input(&format!("user{number}"), "example.org").unwrap();
            let read = reader.read(&ReadKey { user_id, number: None });
            tokio::spawn(read.found)
        })
        .collect();
    sleep(SECOND / 2).await;
    let began = Instant::now();
    assert_eq!(site.log_in("s").await.code, Code::Overloaded);
    assert_eq!(began.elapsed(), LOGIN_TIMEOUT);
    assert_eq!(reader.reads_in_flight(), 1);
    for other in others {
        assert!(other.await.unwrap().is_ok());
    }
    assert_eq!(reader.reads_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn memory_serves_at_once_while_vault_does_not_answer() {
    for failure in [sealed(), Reply::unreachable(), Reply::broken()] {
        let site = Site::new(&stale_for_an_hour());
        site.answers([secret("s"), failure]);
        assert_eq!(site.log_in("s").await.code, Code::Ok);
        let began = Instant::now();
        for _ in 0..3 {
            let outcome = site.log_in("s").await;
            assert_eq!(outcome.code, Code::Ok);
            assert!(outcome.reason.contains("Vault does not answer"));
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        // Said once in ten seconds.
        assert_eq!(site.notices.lock().len(), 1);
        assert_eq!(site.decider.reader().cache_uses().unwrap().stale.get(), 3);
        assert_eq!(site.log_in("t").await.code, Code::VaultUnavailable);
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(site.log_in("s").await.code, Code::VaultUnavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn memory_does_not_serve_where_vault_answers() {
    let limited = Reply::errors(429, &["quota"]);
    for (reply, code) in [
        (limited, Code::VaultUnavailable),
        (Reply::errors(404, &[]), Code::NoSecret),
        (Reply::errors(400, &["odd"]), Code::VaultError),
    ] {
        let site = Site::new(&stale_for_an_hour());
        site.answers([secret("s"), reply]);
        assert_eq!(site.log_in("s").await.code, Code::Ok);
        assert_eq!(site.log_in("s").await.code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_young_secret_in_memory_lets_in_and_never_turns_away() {
    let cache = CacheConfig { ttl: 60 * SECOND, ..config().cache };
    let site = Site::new(&Config { cache, ..config() });
    site.answers([secret("old"), secret("new")]);
    assert_eq!(site.log_in("old").await.code, Code::Ok);
    assert_eq!(site.log_in("old").await.code, Code::Ok);
    assert_eq!(site.reads().len(), 1);
    assert_eq!(site.log_in("new").await.code, Code::Ok);
    assert_eq!(site.reads().len(), 2);
    assert_eq!(site.log_in("old").await.code, Code::BadHash);
    sleep(60 * SECOND).await;
    assert_eq!(site.log_in("new").await.code, Code::Ok);
    assert_eq!(site.reads().len(), 4);
}

/// 2026-01-01, when the versions of [`Reply::entry`] were written.
const WRITTEN: u64 = 1_767_225_600;

#[tokio::test(start_paused = true)]
async fn the_version_before_a_young_one_lets_in_and_every_refusal_makes_two_reads() {
    let site = Site::new(&Config { rotation_grace: 600 * SECOND, ..config() });
    let answer_at = |age: u64| {
        site.vault.on_each("", &entry(ALICE), move |sent: &Sent| {
            let text = if sent.line.ends_with("?version=4") { "old" } else { "new" };
            Reply::entry(5, &json!({ "login_secret": text })).dated(WRITTEN + age)
        });
    };
    answer_at(599);
    let outcome = site.log_in("old").await;
    assert_eq!(outcome.code, Code::Ok);
    assert!(outcome.reason.contains("version 4"));
    assert_eq!(site.log_in("other").await.code, Code::BadHash);
    assert_eq!(site.reads().len(), 4);
    answer_at(600);
    assert_eq!(site.log_in("old").await.code, Code::BadHash);
    site.answers([Reply::errors(404, &[])]);
    assert_eq!(site.log_in("old").await.code, Code::NoSecret);
    assert_eq!(site.reads().len(), 8);
    assert_eq!(site.log_in("new").await.code, Code::NoSecret);
}

const ACTIVE: &str = "http://a:8200";
const STANDBY: &str = "http://b:8200";

/// A cluster of two nodes; the active one hangs on reads although it tells its health.
fn slow_cluster(config: Config) -> Site {
    let addresses = [ACTIVE, STANDBY].map(|address| vault::Address::parse(address).unwrap());
    let mut config = config;
    config.vault.connection.addresses = addresses.to_vec();
    let site = Site::new(&config);
    site.vault.on(STANDBY, "sys/health", [Reply::health(429)]);
    site
}

impl Site {
    /// The active node answers an entry so, and the standby so.
    fn nodes_answer(&self, active: Reply, standby: Reply) {
        self.vault.on(ACTIVE, &entry(ALICE), [active]);
        self.vault.on(STANDBY, &entry(ALICE), [standby]);
    }

    fn reads_at(&self, node: &str) -> usize {
        self.reads().iter().filter(|sent| sent.address == node).count()
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_node_holds_lets_in_while_the_active_one_is_slow() {
    let cache = CacheConfig { ttl: 60 * SECOND, ..config().cache };
    let site = slow_cluster(Config { cache, ..config() });
    site.nodes_answer(Reply::hang(), secret("s"));
    for _ in 0..3 {
        let began = Instant::now();
        let outcome = site.log_in("s").await;
        assert_eq!(outcome.code, Code::Ok);
        assert!(outcome.reason.contains("another node"), "{}", outcome.reason);
        assert_eq!(began.elapsed(), SECOND);
    }
    // Nothing of it is kept.
    assert_eq!(site.decider.reader().cache_uses().unwrap().hits.get(), 0);
    // An active node that is not slow is the only one to be asked.
    site.vault.forget_sent();
    site.nodes_answer(secret("s").after(SECOND * 9 / 10), secret("t"));
    assert_eq!(site.log_in("s").await.code, Code::Ok);
    assert_eq!(site.reads_at(STANDBY), 0);
}

#[tokio::test(start_paused = true)]
async fn what_another_node_holds_turns_nobody_away() {
    for other in [secret("old"), Reply::errors(404, &[]), secret("")] {
        let site = slow_cluster(config());
        site.nodes_answer(secret("new").after(3 * SECOND), other);
        let (right, wrong) = (tokio::spawn(site.log_in("new")), tokio::spawn(site.log_in("x")));
        assert_eq!(right.await.unwrap().code, Code::Ok);
        assert_eq!(wrong.await.unwrap().code, Code::BadHash);
        assert!(site.reads_at(STANDBY) > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_active_nodes_word_a_refusal_is_a_timeout() {
    for rotation_grace in [Duration::ZERO, 600 * SECOND] {
        let site = slow_cluster(Config { rotation_grace, ..config() });
        site.nodes_answer(Reply::hang(), Reply::entry(5, &json!({"login_secret": "new"})));
        let began = Instant::now();
        assert_eq!(site.log_in("old").await.code, Code::Timeout);
        assert_eq!(began.elapsed(), LOGIN_TIMEOUT);
        // It starts no rotation grace, for which another version would be read.
        assert!(site.reads().iter().all(|sent| !sent.line.contains("version=")));
    }
}

#[tokio::test(start_paused = true)]
async fn memory_does_not_serve_after_another_node_holds_something_else() {
    let site = slow_cluster(stale_for_an_hour());
    site.nodes_answer(secret("old"), secret("old"));
    assert_eq!(site.log_in("old").await.code, Code::Ok);
    site.nodes_answer(Reply::hang(), secret("new"));
    assert_eq!(site.log_in("old").await.code, Code::Timeout);
    assert_eq!(site.decider.reader().cache_uses().unwrap().stale.get(), 0);
    // Nor is what it holds kept for an outage.
    site.nodes_answer(Reply::hang(), Reply::unreachable());
    assert_eq!(site.log_in("old").await.code, Code::Ok);
    assert_eq!(site.log_in("new").await.code, Code::Timeout);
}

#[tokio::test(start_paused = true)]
async fn another_nodes_word_registers_nobody() {
    let site = slow_cluster(config());
    site.nodes_answer(secret("s").after(3 * SECOND), secret("s"));
    let user_id = UserId::parse(ALICE, "example.org").unwrap();
    let presented = PresentedHash::parse(&token_hash("s", ALICE)).unwrap();
    let attempt = LoginAttempt { user_id, is_registered: false, may_register: true, presented };
    let began = Instant::now();
    assert_eq!(site.decider.decide(&attempt).await.code, Code::Registered);
    assert_eq!(began.elapsed(), 3 * SECOND);
    site.nodes_answer(Reply::hang(), secret("s"));
    assert_eq!(site.decider.decide(&attempt).await.code, Code::Timeout);
}

#[tokio::test(start_paused = true)]
async fn few_reads_at_a_time_are_made_at_other_nodes() {
    let site = slow_cluster(config());
    // Which node is in use is known from here on.
    site.nodes_answer(secret("s"), secret("s"));
    assert_eq!(site.log_in("s").await.code, Code::Ok);
    for number in 0..100 {
        let path = entry(&format!("@user{number}:example.org"));
        site.vault.on(STANDBY, &path, [secret("s").after(SECOND)]);
    }
    let reader = site.decider.reader();
    let reads: Vec<_> = (0..100)
        .map(|number| {
            let user_id = UserId::from_input(&format!("user{number}"), "example.org").unwrap();
            let reader = Arc::clone(reader);
            tokio::spawn(async move { reader.read_from_another_node(&user_id).await.is_some() })
        })
        .collect();
    sleep(SECOND / 2).await;
    assert_eq!(site.reads_at(STANDBY), 16);
    sleep(SECOND).await;
    assert_eq!(site.reads_at(STANDBY), 32);
    for read in reads {
        assert!(read.await.unwrap());
    }
    assert_eq!(site.reads_at(STANDBY), 100);
}
