//! From the names of servers to their addresses.
//!
//! The operating system resolves names in a call that blocks, and that takes half a minute or more
//! when no name server answers. Each name is asked for once at a time, in a thread of its own, and
//! all who wait share the answer: however many logins wait, one thread does.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::sync::Mutex;

/// After this time a name that is still being resolved is asked for once more: the first call may
/// hang for ever.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// Threads that may hang for one name.
const MOST_THREADS: u32 = 4;

/// Resolves a name, and blocks until it has.
type Lookup = fn(&str) -> io::Result<Vec<IpAddr>>;

/// What came of a question; errors in words.
type Answer = Result<Vec<IpAddr>, String>;

/// Resolves names, each in one thread at a time.
pub struct NameResolver {
    lookup: Lookup,
    questions: Mutex<HashMap<String, Question>>,
}

/// A name that is, or was, asked for.
struct Question {
    asked: Instant,
    answer: Shared<BoxFuture<'static, Answer>>,
    /// The threads that were started for it since its last answer.
    threads: u32,
}

impl NameResolver {
    /// Asks the operating system.
    pub fn new() -> Self {
        Self::with(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }

    fn with(lookup: Lookup) -> Self {
        Self { lookup, questions: Mutex::default() }
    }

    /// Whether a name is being asked for that nobody has answered.
    pub fn is_waiting(&self) -> bool {
        self.questions.lock().values().any(|question| question.answer.peek().is_none())
    }

    fn resolve(&self, name: &str) -> Shared<BoxFuture<'static, Answer>> {
        let mut questions = self.questions.lock();
        let threads = match questions.get(name) {
            None => 0,
            // What was answered then says nothing about now.
            Some(question) if question.answer.peek().is_some() => 0,
            Some(question)
                if question.asked.elapsed() < ASKED_AGAIN_AFTER
                    || question.threads >= MOST_THREADS =>
            {
                return question.answer.clone();
            }
            Some(question) => question.threads,
        };
        let answer = ask(self.lookup, name.to_owned()).shared();
        let question =
            Question { asked: Instant::now(), answer: answer.clone(), threads: threads + 1 };
        questions.insert(name.to_owned(), question);
        answer
    }
}

fn ask(lookup: Lookup, name: String) -> BoxFuture<'static, Answer> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("name-resolver".to_owned()).spawn(move || {
        let answer = lookup(&name).map_err(|error| error.to_string());
        // Nobody may be waiting any more.
        let _ = sender.send(answer);
    });
    Box::pin(async move {
        thread.map_err(|error| error.to_string())?;
        receiver.await.unwrap_or_else(|_| Err("resolving the name failed".to_owned()))
    })
}

/// Resolves whatever name a connection is for, or in its place always the same host.
///
/// TLS takes the name that it checks, and the one that it tells the server, from the URL. Where
/// that is not the name of the host, this leads to the host all the same.
pub struct HostResolver {
    /// Who resolves.
    pub names: Arc<NameResolver>,
    /// The host to connect to, if it is not what the URL says.
    pub host: Option<String>,
}

impl Resolve for HostResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = self.host.as_deref().unwrap_or(name.as_str());
        let answer = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => std::future::ready(Ok(vec![address])).boxed().shared(),
            Err(_) => self.names.resolve(host),
        };
        Box::pin(async move {
            let found = answer.await?;
            let addresses: Addrs =
                Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_never_answers_holds_few_threads() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let names = NameResolver::with(|_| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            loop {
                std::thread::park();
            }
        });
        for _ in 0..3 {
            let waiting = (0..100).map(|_| names.resolve("vault.example"));
            assert!(timeout(Duration::from_secs(1), join_all(waiting)).await.is_err());
        }
        assert!(names.is_waiting());
        assert_eq!(names.questions.lock()["vault.example"].threads, 1);
        for _ in 0..100 {
            advance(ASKED_AGAIN_AFTER).await;
            assert!(names.resolve("vault.example").peek().is_none());
        }
        assert_eq!(names.questions.lock()["vault.example"].threads, MOST_THREADS);
        assert!(ASKED.load(Ordering::Relaxed) <= MOST_THREADS);
    }

    #[tokio::test]
    async fn an_answer_is_not_kept() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let names = NameResolver::with(|_| match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("no such name")),
            n => Ok(vec![IpAddr::from([127, 0, 0, u8::try_from(n).unwrap()])]),
        });
        assert_eq!(names.resolve("v").await, Err("no such name".to_owned()));
        assert_eq!(names.resolve("v").await, Ok(vec![IpAddr::from([127, 0, 0, 1])]));
        assert_eq!(names.resolve("v").await, Ok(vec![IpAddr::from([127, 0, 0, 2])]));
        assert!(!names.is_waiting());
    }

    #[tokio::test]
    async fn a_fixed_host_stands_for_every_name() {
        let names = Arc::new(NameResolver::with(|name| {
            assert_eq!(name, "node1.example");
            Ok(vec![IpAddr::from([10, 0, 0, 1])])
        }));
        for (host, address) in
            [("node1.example", "10.0.0.1:0"), ("10.0.0.2", "10.0.0.2:0"), ("[::1]", "[::1]:0")]
        {
            let names = Arc::clone(&names);
            let resolver = HostResolver { names, host: Some(host.to_owned()) };
            let found: Vec<_> =
                resolver.resolve("vault.example".parse().unwrap()).await.unwrap().collect();
            assert_eq!(found, [address.parse().unwrap()]);
        }
    }
}
