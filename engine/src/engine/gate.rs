//! Stops or fails one operation of many, whichever it is.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// What becomes of the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits until the gate is opened, or forever.
    Stops,
    /// It fails.
    Fails,
}

/// When it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before anything is done.
    Before,
    /// When it is done, but for its answer.
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Reached,
    Open,
    Abandoned,
}

/// Operations go through it one by one; the one of this number stops or fails.
pub struct Gate {
    number: usize,
    fate: Fate,
    moment: Moment,
    passed: AtomicUsize,
    state: watch::Sender<State>,
}

impl Gate {
    /// Has the operation of this number meet its fate, counted from one.
    pub fn new(number: usize, fate: Fate, moment: Moment) -> Self {
        let (passed, state) = (AtomicUsize::new(0), watch::Sender::new(State::Waiting));
        Self { number, fate, moment, passed, state }
    }

    /// Does an operation; `None` if it fails, or whoever asked for it is gone.
    pub async fn pass<T>(&self, operation: impl FnOnce() -> T) -> Option<T> {
        if self.passed.fetch_add(1, Ordering::Relaxed) + 1 != self.number {
            return Some(operation());
        }
        let mut operation = Some(operation);
        let done = match self.moment {
            Moment::Before => None,
            Moment::After => operation.take().map(|operation| operation()),
        };
        let mut states = self.state.subscribe();
        self.state.send_replace(State::Reached);
        if self.fate == Fate::Fails {
            return None;
        }
        let state = states.wait_for(|state| *state != State::Reached).await.unwrap();
        let is_open = *state == State::Open;
        drop(state);
        is_open.then(|| done.or_else(|| operation.map(|operation| operation()))).flatten()
    }

    /// Whether the operation has met its fate.
    pub fn is_reached(&self) -> bool {
        *self.state.borrow() != State::Waiting
    }

    /// Lets the operation go on.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }

    /// Whoever asked for the operation is gone: it does nothing any more.
    pub fn abandon(&self) {
        self.state.send_replace(State::Abandoned);
    }
}
