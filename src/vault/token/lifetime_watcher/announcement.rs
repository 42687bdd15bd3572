//! Warns in the log before a token ends that is not being renewed.

use std::time::Duration;

use tokio::time::Instant;

use super::super::active::ActiveToken;
use super::super::lease::{self, Lookup};
use super::super::manager::TokenManager;

/// How often a token's end is announced.
pub const ANNOUNCED_EVERY: Duration = Duration::from_secs(3600);

/// A token with less time left than this counts as ended: Vault tells whole seconds.
pub const JUST_ENDED: Duration = Duration::from_secs(1);

/// How much later a token must end to count as renewed: Vault tells whole seconds, rounded either
/// way.
const JUST_RENEWED: Duration = Duration::from_secs(2);

/// The announcement of one token's end: first a warning, later errors.
pub struct Announcement<'a> {
    manager: &'a TokenManager,
    active: &'a ActiveToken,
    last: Option<Instant>,
}

impl<'a> Announcement<'a> {
    /// Nothing is announced yet.
    pub fn new(manager: &'a TokenManager, active: &'a ActiveToken) -> Self {
        Self { manager, active, last: None }
    }

    /// Announces the end if the last announcement was long ago. Returns true instead if somebody
    /// else has renewed the token, so that it ends later or never.
    pub async fn repeat(&mut self, end: Instant) -> bool {
        if self.last.is_some_and(|last| last.elapsed() < ANNOUNCED_EVERY) {
            return false;
        }
        if self.is_put_off(end).await {
            return true;
        }
        let left = end.saturating_duration_since(Instant::now());
        let text = |left: Duration| {
            format!(
                "The module's Vault token ends in {} and cannot be renewed: {}",
                humantime::format_duration(Duration::from_secs(left.as_secs())),
                self.manager.source().advice()
            )
        };
        match self.last {
            _ if left < JUST_ENDED => {}
            None => self.manager.notices().warning(text(left)),
            Some(_) => self.manager.notices().error(text(left)),
        }
        self.last = Some(Instant::now());
        false
    }

    /// Whether the token ends later than `end`, or never.
    async fn is_put_off(&self, end: Instant) -> bool {
        let headers = self.manager.headers(self.active);
        match lease::look_up(self.manager.cluster(), headers).await {
            Ok(Lookup::Alive(lease, _)) if lease.end.is_none_or(|now| now > end + JUST_RENEWED) => {
                self.manager.learn(self.active.generation, lease);
                true
            }
            // What cannot be found out now is found out when the token has ended.
            _ => false,
        }
    }
}
