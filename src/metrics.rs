//! What is counted for the administrator's monitoring, where it happens and without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Upper bounds of the buckets of a [`Histogram`], in seconds; above the last there is one more.
pub const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// How often something took how long.
///
/// A reader may see one of two things that happen together and not yet the other, as monitoring
/// expects of any program with more than one thread.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    sum: AtomicU64,
}

/// What a [`Histogram`] held at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// How many took at most as long as each of [`BUCKETS`] says; the last is how many there were.
    pub cumulative: Vec<u64>,
    /// How long all of them took together, in seconds.
    pub sum: f64,
}

/// Measures until it is dropped, so that what is given up is counted too.
pub struct Timing<'a> {
    histogram: &'a Histogram,
    started: Instant,
}

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was counted.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Histogram {
    /// Begins to measure.
    pub fn time(&self) -> Timing<'_> {
        Timing { histogram: self, started: Instant::now() }
    }

    /// Counts something that took so long.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What it holds now.
    #[must_use]
    pub fn read(&self) -> Distribution {
        let mut total = 0;
        let cumulative = self.buckets.iter().map(|bucket| {
            total += bucket.load(Ordering::Relaxed);
            total
        });
        let cumulative = cumulative.collect();
        let sum = Duration::from_nanos(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        Distribution { cumulative, sum }
    }
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        self.histogram.observe(self.started.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_count_what_took_at_most_as_long_as_they_say() {
        let histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 10_000, 10_001, 3_600_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let Distribution { cumulative, sum } = histogram.read();
        assert_eq!(cumulative, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 6]);
        assert!((sum - 3620.004).abs() < 1e-6);
    }

    #[test]
    fn what_is_given_up_is_counted() {
        let histogram = Histogram::default();
        drop(histogram.time());
        assert_eq!(histogram.read().cumulative.last(), Some(&1));
    }
}
