//! How long requests to Vault take, and how often they are repeated.

use super::request::RequestKind;
use crate::metrics::{Counter, Distribution, Histogram, Timing};

/// The requests to one cluster.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    /// In the order of [`RequestKind::MEASURED`].
    requests: [Histogram; RequestKind::MEASURED.len()],
    /// Requests that were sent again because one before had failed or was not answered.
    pub retries: Counter,
}

impl RequestMetrics {
    /// Begins to measure one exchange, if this kind is measured.
    pub(super) fn time(&self, kind: RequestKind) -> Option<Timing<'_>> {
        let place = RequestKind::MEASURED.iter().position(|measured| *measured == kind)?;
        self.requests.get(place).map(Histogram::time)
    }

    /// How long the exchanges of each kind took.
    #[must_use]
    pub fn requests(&self) -> Vec<(RequestKind, Distribution)> {
        let distributions = self.requests.iter().map(Histogram::read);
        RequestKind::MEASURED.into_iter().zip(distributions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_measured_by_itself() {
        let metrics = RequestMetrics::default();
        drop(metrics.time(RequestKind::Health));
        assert!(metrics.time(RequestKind::Other).is_none());
        for (kind, distribution) in metrics.requests() {
            let count = u64::from(kind == RequestKind::Health);
            assert_eq!(distribution.cumulative.last(), Some(&count));
        }
    }
}
