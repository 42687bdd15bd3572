//! Logins on virtual time whose homeserver takes its time to find the account.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::*;
use crate::login::config::{CacheConfig, Config};
use crate::login::entry_reader::EntryReader;
use crate::notice::Notices;
use crate::token_hash::{PresentedHash, token_hash};
use crate::vault::fake::{FakeVault, Reply, Sent};
use crate::vault::{self, Client, RequestKind};

const SENT: &str = "@alice:example.org";
const CANONICAL: &str = "@Alice:example.org";

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A Vault, and the logins that are decided by it.
struct Site {
    vault: FakeVault,
    reader: Arc<EntryReader>,
    logins: LoginsUnderWay,
    outcomes: Arc<Mutex<Vec<(u64, Outcome, Duration)>>>,
}

impl Site {
    fn new(cache_ttl: Duration, max_concurrent_lookups: u32) -> Self {
        let cache = CacheConfig { ttl: cache_ttl, stale_if_error: Duration::ZERO, max_entries: 10 };
        Self::with(|config| Config { max_concurrent_lookups, cache, ..config })
    }

    /// Without a cache, and with as many lookups as anybody could want, unless `change` says
    /// otherwise.
    fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let vault = FakeVault::new();
        let config = change(Config {
            vault: vault::Config::of_test("http://127.0.0.1:8200"),
            mas: None,
            login_timeout: 10 * SECOND,
            max_concurrent_lookups: 256,
            cache: CacheConfig {
                ttl: Duration::ZERO,
                stale_if_error: Duration::ZERO,
                max_entries: 10,
            },
            rotation_grace: Duration::ZERO,
            allow_registration: false,
        });
        let notices = Notices::new(drop);
        let client = Client::with_transport(&config.vault, notices.clone(), vault.transport());
        let server_name = "example.org".to_owned();
        let reader =
            Arc::new(EntryReader::new(client, config.clone(), server_name, notices.clone()));
        let decider = Arc::new(LoginDecider::new(Arc::clone(&reader), &config, notices));
        let outcomes = Arc::<Mutex<Vec<_>>>::default();
        let (posted, began) = (Arc::clone(&outcomes), Instant::now());
        let logins = LoginsUnderWay::new(decider, Handle::current(), move |number, outcome| {
            posted.lock().push((number, outcome, began.elapsed()));
        });
        Self { vault, reader, logins, outcomes }
    }

    fn plain() -> Self {
        Self::with(|config| config)
    }

    /// From now on, a user has this secret, which Vault tells after this time.
    fn has(&self, user_id: &str, secret: &str, after: Duration) {
        let reply = Reply::entry(1, &json!({ "login_secret": secret })).after(after);
        self.vault.on("", &format!("kv/deep/data/matrix/users/{user_id}"), [reply]);
    }

    /// Begins a login with the hash that is right for this secret and id.
    fn begin(&self, number: u64, user_id: &str, secret: &str) {
        let presented = PresentedHash::parse(&token_hash(secret, user_id)).unwrap();
        let user_id = parsed(SENT);
        self.logins.begin(
            number,
            LoginAttempt { user_id, is_registered: true, may_register: false, presented },
        );
    }

    /// Says that the homeserver has looked for the account. Returns the outcome if it is known at
    /// once.
    fn decide(&self, number: u64, is_registered: bool) -> Option<Code> {
        self.logins.decide(number, is_registered, None).map(|outcome| outcome.code)
    }

    /// The outcome of a login, once there is one, and when it came.
    async fn outcome(&self, number: u64) -> (Code, Duration) {
        loop {
            if let Some(outcome) = self.outcome_so_far(number) {
                return outcome;
            }
            sleep(MILLI).await;
        }
    }

    fn outcome_so_far(&self, number: u64) -> Option<(Code, Duration)> {
        let outcomes = self.outcomes.lock();
        let (_, outcome, at) = outcomes.iter().find(|(one, ..)| *one == number)?;
        Some((outcome.code, *at))
    }

    fn reads(&self) -> Vec<Sent> {
        self.vault.sent_for(RequestKind::Read)
    }

    /// Reads on the list of those that others may join.
    fn under_way(&self) -> usize {
        self.logins.shared.logins.lock().len()
    }
}

fn parsed(user_id: &str) -> UserId {
    UserId::parse(user_id, "example.org").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_login_takes_as_long_as_the_slower_of_the_two() {
    for (vault, database, both) in [(3, 1, 3), (1, 3, 3)] {
        let site = Site::plain();
        site.has(SENT, "s", vault * SECOND);
        let began = Instant::now();
        site.begin(1, SENT, "s");
        sleep(database * SECOND).await;
        let outcome = match site.decide(1, true) {
            Some(code) => (code, began.elapsed()),
            None => site.outcome(1).await,
        };
        assert_eq!(outcome, (Code::Ok, both * SECOND));
        assert_eq!(site.reads().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_by_then_decides_at_once_and_wakes_no_thread() {
    for (is_registered, secret, expected) in [
        (true, "s", Code::Ok),
        (true, "wrong", Code::BadHash),
        (false, "s", Code::UnknownUser),
        (false, "wrong", Code::UnknownUser),
    ] {
        let site = Site::plain();
        site.has(SENT, "s", SECOND);
        site.begin(1, SENT, secret);
        sleep(2 * SECOND).await;
        let outcome = site.logins.decide(1, is_registered, None).unwrap();
        assert_eq!(outcome.code, expected);
        assert_eq!(outcome.path.as_deref(), Some("kv/deep/matrix/users/@alice:example.org"));
        sleep(60 * SECOND).await;
        assert!(site.outcomes.lock().is_empty());
        assert_eq!((site.reads().len(), site.under_way()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_the_login_lets_in_and_refuses_nobody() {
    for (secret, at_once, reads) in [("s", Some(Code::Ok), 1), ("wrong", None, 2)] {
        let site = Site::plain();
        site.has(SENT, "s", 2 * SECOND);
        site.begin(1, SENT, "s");
        sleep(SECOND).await;
        site.begin(2, SENT, secret);
        sleep(2 * SECOND).await;
        assert_eq!(site.decide(2, true), at_once);
        if at_once.is_none() {
            assert_eq!(site.outcome(2).await, (Code::BadHash, 5 * SECOND));
        }
        assert_eq!(site.reads().len(), reads);
    }
}

#[tokio::test(start_paused = true)]
async fn the_version_before_is_read_although_the_newest_was_read_by_then() {
    let site = Site::with(|config| Config { rotation_grace: 60 * SECOND, ..config });
    site.has(SENT, "s", SECOND);
    site.begin(1, SENT, "wrong");
    sleep(2 * SECOND).await;
    assert_eq!(site.decide(1, true), None);
    assert_eq!(site.outcome(1).await.0, Code::BadHash);
    assert_eq!(site.reads().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_ends_first_each_login_has_one_outcome() {
    const LOGINS: u64 = 500;
    let site = Site::plain();
    site.has(SENT, "s", Duration::ZERO);
    let mut at_once = 0;
    for number in 0..LOGINS {
        site.begin(number, SENT, "s");
        // On the other thread the read ends about now.
        (0..number % 100).for_each(|_| std::thread::yield_now());
        at_once += usize::from(site.decide(number, true).is_some());
    }
    let posted = || site.outcomes.lock().len();
    while posted() + at_once < usize::try_from(LOGINS).unwrap() {
        sleep(MILLI).await;
    }
    let mut numbers: Vec<u64> = site.outcomes.lock().iter().map(|(number, ..)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(posted(), numbers.len());
    assert!(site.outcomes.lock().iter().all(|(_, outcome, _)| outcome.code == Code::Ok));
}

#[tokio::test(start_paused = true)]
async fn nobodys_login_is_decided_by_the_same_read_and_takes_as_long() {
    for is_registered in [true, false] {
        let site = Site::plain();
        site.vault.on_reads([Reply::errors(404, &[]).after(2 * SECOND)]);
        site.begin(1, SENT, "s");
        sleep(SECOND).await;
        assert!(site.logins.decide(1, is_registered, None).is_none());
        let expected = if is_registered { Code::NoSecret } else { Code::UnknownUser };
        assert_eq!(site.outcome(1).await, (expected, 2 * SECOND));
        assert_eq!(site.reads().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn another_id_drops_the_read_and_begins_again() {
    // Before the read has ended, and after.
    for database in [1, 4] {
        let site = Site::plain();
        // What was sent opens the entry of the id that was sent, and not that of the account.
        site.has(SENT, "s", 2 * SECOND);
        site.has(CANONICAL, "other", 2 * SECOND);
        site.begin(1, SENT, "s");
        sleep(database * SECOND).await;
        assert!(site.logins.decide(1, true, Some(parsed(CANONICAL))).is_none());
        // The times add up: `docs/security.md` says so.
        assert_eq!(site.outcome(1).await, (Code::BadHash, (database + 2) * SECOND));
        let path = |user_id| format!("GET kv/deep/data/matrix/users/{user_id}");
        let asked = |user_id| site.reads().iter().filter(|sent| sent.line == path(user_id)).count();
        assert_eq!((asked(SENT), asked(CANONICAL)), (1, 1));
        assert_eq!(site.outcomes.lock().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_hash_is_that_of_the_canonical_id() {
    let site = Site::plain();
    site.has(CANONICAL, "s", Duration::ZERO);
    site.begin(1, CANONICAL, "s");
    assert!(site.logins.decide(1, true, Some(parsed(CANONICAL))).is_none());
    assert_eq!(site.outcome(1).await.0, Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_memory_that_fits_is_not_read_ahead_and_one_that_does_not_is() {
    let site = Site::new(60 * SECOND, 256);
    site.has(SENT, "s", SECOND);
    site.begin(1, SENT, "s");
    site.logins.decide(1, true, None);
    site.outcome(1).await;
    site.vault.forget_sent();

    site.begin(2, SENT, "s");
    sleep(SECOND).await;
    assert_eq!(site.logins.decide(2, true, None).unwrap().code, Code::Ok);
    assert!(site.reads().is_empty());
    site.begin(3, SENT, "wrong");
    sleep(SECOND / 2).await;
    assert_eq!(site.reads().len(), 1);
    site.logins.decide(3, true, None);
    assert_eq!(site.outcome(3).await.0, Code::BadHash);
    // Who has no account is not let in by what memory has.
    site.begin(4, SENT, "s");
    assert!(site.logins.decide(4, false, None).is_none());
    assert_eq!(site.outcome(4).await.0, Code::UnknownUser);
    let uses = site.reader.cache_uses().unwrap();
    assert_eq!((uses.hits.get(), uses.misses.get()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_memory_has_let_go_of_meanwhile_lets_nobody_in() {
    // The secret is replaced while the homeserver looks for the account, and gets too old.
    for is_seen in [true, false] {
        let site = Site::new(60 * SECOND, 256);
        site.has(SENT, "s", Duration::ZERO);
        site.begin(1, SENT, "s");
        site.logins.decide(1, true, None);
        site.outcome(1).await;
        site.begin(2, SENT, "s");
        site.has(SENT, "t", Duration::ZERO);
        if is_seen {
            site.begin(3, SENT, "t");
            site.logins.decide(3, true, None);
            assert_eq!(site.outcome(3).await.0, Code::Ok);
        } else {
            sleep(61 * SECOND).await;
        }
        assert!(site.logins.decide(2, true, None).is_none());
        assert_eq!(site.outcome(2).await.0, Code::BadHash);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_long_before_the_account_was_found_is_read_again() {
    for (database, code, reads) in [(9, Code::Ok, 1), (12, Code::BadHash, 2)] {
        let site = Site::plain();
        site.has(SENT, "s", SECOND);
        site.begin(1, SENT, "s");
        sleep(2 * SECOND).await;
        site.has(SENT, "t", SECOND);
        sleep((database - 2) * SECOND).await;
        let decided = match site.decide(1, true) {
            Some(code) => code,
            None => site.outcome(1).await.0,
        };
        assert_eq!(decided, code);
        assert_eq!(site.reads().len(), reads);
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_given_up_is_never_decided_and_read_no_further() {
    let site = Site::plain();
    site.has(SENT, "s", 2 * SECOND);
    site.begin(1, SENT, "s");
    sleep(SECOND).await;
    assert_eq!(site.reader.reads_in_flight(), 1);
    site.logins.abandon(1);
    sleep(MILLI).await;
    assert_eq!((site.reader.reads_in_flight(), site.under_way()), (0, 0));
    // Also while it is being decided, and when nothing was read.
    site.begin(2, SENT, "s");
    site.logins.decide(2, true, None);
    sleep(SECOND).await;
    site.logins.abandon(2);
    site.logins.abandon(3);
    // And after its entry has been read.
    site.begin(4, SENT, "s");
    sleep(3 * SECOND).await;
    site.logins.abandon(4);
    sleep(60 * SECOND).await;
    assert_eq!((site.reader.reads_in_flight(), site.under_way()), (0, 0));
    assert!(site.outcomes.lock().is_empty());
    assert_eq!(site.reads().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_not_repeated_before_the_account_is_known() {
    let site = Site::plain();
    let sealed = Reply::errors(503, &["Vault is sealed"]);
    let secret = Reply::entry(1, &json!({ "login_secret": "s" }));
    site.vault.on_reads([sealed.after(SECOND), secret]);
    site.begin(1, SENT, "s");
    sleep(60 * SECOND).await;
    assert_eq!(site.reads().len(), 1);
    // The time that the homeserver took is not Vault's, so there is time left.
    site.logins.decide(1, true, None);
    assert_eq!(site.outcome(1).await.0, Code::Ok);
    assert_eq!(site.reads().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_in_which_vault_is_waited_for_counts_from_the_beginning() {
    let site = Site::plain();
    site.vault.on_reads([Reply::hang()]);
    site.begin(1, SENT, "s");
    sleep(3 * SECOND).await;
    site.logins.decide(1, true, None);
    let (code, at) = site.outcome(1).await;
    assert_eq!(code, Code::Timeout);
    assert!(at <= 10 * SECOND + 2 * MILLI, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_database_holds_no_permit_and_no_read() {
    let site = Site::new(Duration::ZERO, 1);
    site.has(SENT, "s", SECOND);
    site.begin(1, SENT, "s");
    sleep(2 * SECOND).await;
    assert_eq!(site.reader.reads_in_flight(), 0);
    // The one permit is there for the next, who does not join a read that has ended.
    site.begin(2, SENT, "s");
    site.logins.decide(2, true, None);
    assert_eq!(site.outcome(2).await, (Code::Ok, 3 * SECOND));
    assert_eq!(site.reads().len(), 2);
    assert_eq!(site.decide(1, true), Some(Code::Ok));
    assert_eq!(site.reads().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_joined_a_read_gets_it_although_the_first_gives_up() {
    let site = Site::plain();
    site.has(SENT, "s", 2 * SECOND);
    site.begin(1, SENT, "s");
    sleep(MILLI).await;
    site.begin(2, SENT, "s");
    sleep(SECOND).await;
    site.logins.abandon(1);
    site.logins.decide(2, true, None);
    let (code, at) = site.outcome(2).await;
    assert_eq!((code, at.as_secs()), (Code::Ok, 2));
    assert_eq!(site.reads().len(), 1);
    assert_eq!(site.reader.reads_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_never_begun_is_refused() {
    let site = Site::plain();
    assert_eq!(site.logins.decide(1, true, None).unwrap().code, Code::VaultUnavailable);
}
