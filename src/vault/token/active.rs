//! A token in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::lease::Lease;
use crate::vault::Token;
use crate::vault::transport::RequestHeaders;

/// The token in use, as one who sends a request sees it.
#[derive(Clone)]
pub struct ActiveToken {
    /// The token; `None` if a proxy adds one.
    pub token: Option<Token>,
    /// Its number among the tokens that this process has had.
    pub generation: u64,
    /// Its lease, as far as Vault has told.
    pub lease: Option<Lease>,
    usage: Arc<Usage>,
}

/// What a token has been used for, by all who use it.
struct Usage {
    /// Whether Vault has ever answered it with anything but 403.
    has_worked: AtomicBool,
    /// The requests that it is good for yet; `None` for a token without such a limit.
    left: Option<AtomicU64>,
}

impl ActiveToken {
    /// A token that nobody has used yet, and that is good for so many requests if a number is
    /// given.
    pub fn new(
        token: Option<Token>,
        generation: u64,
        lease: Option<Lease>,
        uses: Option<u64>,
    ) -> Self {
        let usage = Usage { has_worked: AtomicBool::new(false), left: uses.map(AtomicU64::new) };
        Self { token, generation, lease, usage: Arc::new(usage) }
    }

    /// The headers of a request for secrets.
    pub fn headers(&self) -> RequestHeaders<'_> {
        self.token.as_ref().map_or(RequestHeaders::Namespace, RequestHeaders::Token)
    }

    /// Whether Vault has ever answered it with anything but 403.
    pub fn has_worked(&self) -> bool {
        self.usage.has_worked.load(Ordering::Relaxed)
    }

    /// Keeps that Vault has answered it with something else than 403.
    pub fn set_worked(&self) {
        self.usage.has_worked.store(true, Ordering::Relaxed);
    }

    /// Whether it is good for a limited number of requests only.
    pub fn has_limited_uses(&self) -> bool {
        self.usage.left.is_some()
    }

    /// Counts a request with it. Returns false if it is good for none any more.
    pub fn take_use(&self) -> bool {
        self.usage.left.as_ref().is_none_or(|left| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
        })
    }
}
