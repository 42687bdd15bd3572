//! How long requests to MAS take.

use super::RequestKind;
use crate::metrics::{Distribution, Histogram, Timing};

/// The requests to one MAS.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    /// In the order of [`RequestKind::ALL`].
    requests: [Histogram; RequestKind::ALL.len()],
}

impl RequestMetrics {
    /// Begins to measure one exchange.
    pub(super) fn time(&self, kind: RequestKind) -> Option<Timing<'_>> {
        let place = RequestKind::ALL.iter().position(|measured| *measured == kind)?;
        self.requests.get(place).map(Histogram::time)
    }

    /// How long the exchanges of each kind took.
    #[must_use]
    pub fn requests(&self) -> Vec<(RequestKind, Distribution)> {
        let distributions = self.requests.iter().map(Histogram::read);
        RequestKind::ALL.into_iter().zip(distributions).collect()
    }
}
