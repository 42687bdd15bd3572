//! How long leases last, as far as it is configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long leases last, as far as it is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ttls {
    /// In milliseconds, unless a lease is renewed.
    #[serde(default)]
    ttl_ms: Option<u64>,
    /// In milliseconds, at most.
    #[serde(default)]
    max_ttl_ms: Option<u64>,
}

impl Ttls {
    /// How long leases last, if that is said.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl_ms.map(Duration::from_millis)
    }

    /// How long leases last at most, if that is said.
    #[must_use]
    pub fn max_ttl(&self) -> Option<Duration> {
        self.max_ttl_ms.map(Duration::from_millis)
    }

    /// Changes how long leases last. Zero says nothing about it.
    pub fn set_ttl(&mut self, ttl: Duration) {
        self.ttl_ms = said(ttl);
    }

    /// Changes how long leases last at most. Zero says nothing about it.
    pub fn set_max_ttl(&mut self, max_ttl: Duration) {
        self.max_ttl_ms = said(max_ttl);
    }
}

/// A time as it is kept.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A time as it is kept, where zero says nothing. Less than a millisecond is not zero.
fn said(duration: Duration) -> Option<u64> {
    (!duration.is_zero()).then(|| milliseconds(duration).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_a_millisecond_is_not_nothing() {
        let mut ttls = Ttls::default();
        ttls.set_ttl(Duration::from_nanos(1));
        ttls.set_max_ttl(Duration::MAX);
        assert_eq!(ttls.ttl(), Some(Duration::from_millis(1)));
        assert_eq!(ttls.max_ttl(), Some(Duration::from_millis(u64::MAX)));
        ttls.set_ttl(Duration::ZERO);
        assert_eq!(ttls.ttl(), None);
    }
}
