//! Time that moves when a test says so, and not while something waits for a socket.

use std::sync::mpsc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::advance;

/// The clock of a runtime whose time is paused. A task that blocks keeps it from going on by itself.
pub struct StoppedClock {
    _running: mpsc::Sender<()>,
}

impl StoppedClock {
    /// Stops the clock of this runtime, until it is dropped.
    pub fn new() -> Self {
        let (running, ended) = mpsc::channel();
        spawn_blocking(move || ended.recv());
        Self { _running: running }
    }

    /// Lets time pass.
    pub async fn advance(&self, seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }
}
