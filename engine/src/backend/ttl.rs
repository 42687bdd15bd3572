//! How long leases last.

use std::time::Duration;

use crate::storage::Ttls;

/// Shortest lease. One of no time at all would be none to a host.
const SHORTEST: Duration = Duration::from_secs(1);

/// What is said about how long leases last, from the most to the least special.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// How long a lease lasts unless it is renewed.
    pub ttl: Option<Duration>,
    /// How long a lease lasts at most.
    pub max_ttl: Option<Duration>,
}

impl From<Ttls> for Limits {
    fn from(ttls: Ttls) -> Self {
        Self { ttl: ttls.ttl(), max_ttl: ttls.max_ttl() }
    }
}

/// How long one lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Unless it is renewed.
    pub ttl: Duration,
    /// At most, from its issue on.
    pub max_ttl: Duration,
}

impl LeaseTimes {
    /// The first TTL that is said, in the order of these limits, and no longer than any maximum that
    /// is said, or than the session itself.
    #[must_use]
    pub fn of(limits: &[Limits], session: Option<Duration>) -> Self {
        let maxima = limits.iter().filter_map(|limits| limits.max_ttl).chain(session);
        let max_ttl = maxima.min().unwrap_or(Duration::MAX).max(SHORTEST);
        let ttl = limits.iter().find_map(|limits| limits.ttl).unwrap_or(max_ttl);
        Self { ttl: ttl.clamp(SHORTEST, max_ttl), max_ttl }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(ttl: u64, max_ttl: u64) -> Limits {
        let said = |seconds| (seconds > 0).then(|| Duration::from_secs(seconds));
        Limits { ttl: said(ttl), max_ttl: said(max_ttl) }
    }

    #[test]
    fn the_most_special_ttl_counts_and_every_maximum() {
        for (user, homeserver, mount, session, expected) in [
            ((0, 0), (0, 0), (3600, 7200), None, (3600, 7200)),
            ((0, 0), (60, 0), (3600, 7200), None, (60, 7200)),
            ((30, 0), (60, 0), (3600, 7200), None, (30, 7200)),
            ((30, 0), (60, 20), (3600, 7200), None, (20, 20)),
            ((0, 90), (60, 300), (3600, 7200), None, (60, 90)),
            ((9999, 0), (0, 0), (3600, 7200), None, (7200, 7200)),
            ((30, 60), (0, 0), (3600, 7200), Some(5), (5, 5)),
            ((30, 60), (0, 0), (3600, 7200), Some(0), (1, 1)),
        ] {
            let all = [user, homeserver, mount].map(|(ttl, max_ttl)| limits(ttl, max_ttl));
            let times = LeaseTimes::of(&all, session.map(Duration::from_secs));
            assert_eq!((times.ttl.as_secs(), times.max_ttl.as_secs()), expected);
        }
    }
}
