//! The logins and changes that are under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::Notify;

/// The ids of the logins that are under way, and how many changes are.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<State>);

#[derive(Default)]
struct State {
    ids: Mutex<HashMap<String, Stage>>,
    changes: AtomicUsize,
    ended: Notify,
}

/// A change that is under way, until it is dropped.
pub struct OneChange(UnderWay);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The login is under way.
    UnderWay,
    /// It was answered, which could not be written down.
    Answered,
}

/// A login that is under way, until it is dropped.
pub struct OneUnderWay {
    all: UnderWay,
    id: String,
}

impl UnderWay {
    /// A login begins.
    #[must_use]
    pub fn begin(&self, id: &str) -> OneUnderWay {
        self.0.ids.lock().insert(id.to_owned(), Stage::UnderWay);
        OneUnderWay { all: self.clone(), id: id.to_owned() }
    }

    /// A change begins that nobody may wait for any more.
    #[must_use]
    pub fn begin_change(&self) -> OneChange {
        self.0.changes.fetch_add(1, Ordering::AcqRel);
        OneChange(self.clone())
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let is_login = |stage: &Stage| *stage == Stage::UnderWay;
        self.0.changes.load(Ordering::Acquire) == 0 && !self.0.ids.lock().values().any(is_login)
    }

    /// Whether a login is under way.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.0.ids.lock().get(id) == Some(&Stage::UnderWay)
    }

    /// Whether a login was answered that is still written down as one that is not.
    #[must_use]
    pub fn was_answered(&self, id: &str) -> bool {
        self.0.ids.lock().get(id) == Some(&Stage::Answered)
    }

    /// A login is not written down any more.
    pub fn forget(&self, id: &str) {
        self.0.ids.lock().remove(id);
    }

    /// Waits until nothing is under way.
    pub async fn finish(&self) {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.is_idle() {
                return;
            }
            ended.await;
        }
    }
}

impl OneUnderWay {
    /// The login was answered, which could not be written down.
    pub fn was_answered(self) {
        self.all.0.ids.lock().insert(self.id.clone(), Stage::Answered);
    }
}

impl Drop for OneChange {
    fn drop(&mut self) {
        self.0.0.changes.fetch_sub(1, Ordering::AcqRel);
        self.0.0.ended.notify_waiters();
    }
}

impl Drop for OneUnderWay {
    fn drop(&mut self) {
        let mut ids = self.all.0.ids.lock();
        if ids.get(&self.id) == Some(&Stage::UnderWay) {
            ids.remove(&self.id);
        }
        drop(ids);
        self.all.0.ended.notify_waiters();
    }
}
