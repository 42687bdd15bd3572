//! Whether the host is still there.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use super::log;

/// How long the host may take to connect. It gives up on a plugin after a minute itself.
const ARRIVAL_TIME: Duration = Duration::from_secs(90);

/// How often we look whether the process that started us still runs.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Whether the host is still there.
#[derive(Clone)]
pub struct HostPresence(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    has_arrived: bool,
    is_ending: bool,
    streams: usize,
}

/// One of the host's streams. The host is gone when the last one ends.
pub struct PresentStream(HostPresence);

impl HostPresence {
    /// A host that has not connected yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// One of the host's streams begins.
    pub fn arrived(&self) -> PresentStream {
        self.0.send_modify(|state| {
            state.has_arrived = true;
            state.streams = state.streams.saturating_add(1);
        });
        PresentStream(self.clone())
    }

    /// The host wants us to end.
    pub fn end(&self) {
        self.0.send_modify(|state| state.is_ending = true);
    }

    /// Waits until the host is gone, wants us to end, or never came.
    pub async fn is_over(&self) {
        let is_over = |state: &State| state.is_ending || (state.has_arrived && state.streams == 0);
        let mut states = self.0.subscribe();
        let mut arrivals = self.0.subscribe();
        let missing = async {
            if timeout(ARRIVAL_TIME, arrivals.wait_for(|state| state.has_arrived)).await.is_ok() {
                std::future::pending::<()>().await;
            }
            log::error("no host has connected");
        };
        tokio::select! {
            _ = states.wait_for(is_over) => {}
            () = missing => {}
            () = orphaned() => log::debug("the host has ended without a word"),
            () = terminated() => {}
        }
    }
}

impl Drop for PresentStream {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.streams = state.streams.saturating_sub(1));
    }
}

/// Waits until the process that started us has ended.
async fn orphaned() {
    let parent = std::os::unix::process::parent_id();
    let mut looks = interval(LOOK_EVERY);
    while std::os::unix::process::parent_id() == parent {
        looks.tick().await;
    }
}

/// Waits for the signal to end. The one of a terminal is the host's to obey: it ends us.
async fn terminated() {
    let interrupts = signal(SignalKind::interrupt());
    let Ok(mut terminations) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    terminations.recv().await;
    drop(interrupts);
}
