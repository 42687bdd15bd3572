//! How often and how long a request is repeated.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a server that accepts no connection is taken for one that restarts.
const RESTART_TIME: Duration = Duration::from_secs(5);

/// An error that the same request may not meet a moment later.
pub trait Transient {
    /// Whether the same request may succeed later.
    fn is_transient(&self) -> bool;

    /// Whether nothing accepted the connection.
    fn is_unconnected(&self) -> bool;

    /// How long the server asks to wait before the next request.
    fn retry_after(&self) -> Option<Duration>;
}

/// The time that a piece of work has, requests and waits together.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    limit: Duration,
    at: Instant,
}

/// The waits between requests that fail: exponential, each anywhere between zero and its bound, so
/// that clients that fail together do not come back together. After
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Debug)]
pub struct Backoff {
    bounds: ExponentialBackoff,
    longest: Duration,
    /// The part of a bound by which a wait is shorter at most.
    jitter: f64,
}

/// Why a repeated request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum RetryError<E> {
    /// The last request failed so, and no later one is made.
    Failed(E),
    /// The deadline passed. Holds the failure of the request before, if there was one.
    TimedOut(Option<E>),
}

impl Deadline {
    /// Ends after `limit`, from now on.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { limit, at: Instant::now() + limit }
    }

    /// When it ends.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The time that there was from the beginning.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The time that is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

impl Backoff {
    /// Waits below `shortest`, then below twice that, and so on up to `longest`.
    #[must_use]
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        let bounds = ExponentialBuilder::new()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .without_max_times()
            .build();
        Self { bounds, longest, jitter: 1.0 }
    }

    /// The same with waits that are shorter than their bound by this part at most, for work in the
    /// background that nobody waits for.
    #[must_use]
    pub fn with_jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// The next wait.
    #[must_use]
    pub fn next_wait(&mut self) -> Duration {
        let part = 1.0 - self.jitter * fastrand::f64();
        self.bounds.next().unwrap_or(self.longest).mul_f64(part)
    }
}

/// Sends a request until it succeeds, fails for good, or the deadline passes.
///
/// It must do no harm to send it twice. A server that asks to wait is obeyed; if it asks for longer
/// than there is, nothing is waited for. A server that accepts no connection is given up after five
/// seconds: no wait begins that would end later.
///
/// # Errors
/// The error of the last request, or that the deadline passed.
pub async fn retry<T, E: Transient, F: Future<Output = Result<T, E>>>(
    deadline: Deadline,
    mut backoff: Backoff,
    mut request: impl FnMut() -> F,
) -> Result<T, RetryError<E>> {
    let began = Instant::now();
    let mut last = None;
    loop {
        let error = match timeout_at(deadline.at, request()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(_) => return Err(RetryError::TimedOut(last)),
        };
        let wait = backoff.next_wait().max(error.retry_after().unwrap_or_default());
        let is_given_up = error.is_unconnected() && began.elapsed() + wait > RESTART_TIME;
        if !error.is_transient() || wait >= deadline.left() || is_given_up {
            return Err(RetryError::Failed(error));
        }
        last = Some(error);
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum TestError {
        Final,
        Passing,
        Unconnected,
        Limited(Duration),
    }

    impl Transient for TestError {
        fn is_transient(&self) -> bool {
            *self != Self::Final
        }

        fn is_unconnected(&self) -> bool {
            *self == Self::Unconnected
        }

        fn retry_after(&self) -> Option<Duration> {
            match self {
                Self::Limited(wait) => Some(*wait),
                _ => None,
            }
        }
    }

    /// Fails so until `succeeds_at`; returns the result, the number of requests, and the time.
    async fn run(
        error: TestError,
        succeeds_at: u32,
        limit: Duration,
    ) -> (Result<(), RetryError<TestError>>, u32, Duration) {
        let began = Instant::now();
        let sent = Cell::new(0);
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let result = retry(Deadline::after(limit), backoff, || {
            sent.set(sent.get() + 1);
            let result = if sent.get() < succeeds_at { Err(error) } else { Ok(()) };
            async move { result }
        })
        .await;
        (result, sent.get(), began.elapsed())
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn transient_errors_are_retried_and_others_are_not() {
        let (result, sent, _) = run(TestError::Passing, 5, MINUTE).await;
        assert_eq!((result, sent), (Ok(()), 5));
        let (result, sent, took) = run(TestError::Final, 5, MINUTE).await;
        assert_eq!((result, sent), (Err(RetryError::Failed(TestError::Final)), 1));
        assert_eq!(took, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_to_wait_is_obeyed() {
        let wait = Duration::from_secs(20);
        let (result, sent, took) = run(TestError::Limited(wait), 3, MINUTE).await;
        assert_eq!((result, sent), (Ok(()), 3));
        assert_eq!(took, wait * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_begins_that_the_deadline_would_cut_off() {
        let error = TestError::Limited(MINUTE);
        let (result, sent, took) = run(error, 2, MINUTE).await;
        assert_eq!((result, sent), (Err(RetryError::Failed(error)), 1));
        assert_eq!(took, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_accepts_no_connection_is_given_up_within_five_seconds() {
        for _ in 0..100 {
            let (result, sent, took) = run(TestError::Unconnected, u32::MAX, MINUTE).await;
            assert_eq!(result, Err(RetryError::Failed(TestError::Unconnected)));
            assert!(sent > 1 && took <= RESTART_TIME, "{sent} requests in {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_ends_with_the_deadline() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let hanging = || std::future::pending::<Result<(), TestError>>();
        let result = retry(Deadline::after(MINUTE), backoff, hanging).await;
        assert_eq!(result, Err(RetryError::TimedOut(None)));
    }
}
