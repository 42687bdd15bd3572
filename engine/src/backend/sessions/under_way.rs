//! The logins that are under way.

use std::collections::HashSet;
use std::sync::Arc;

use synapse_vault_auth_provider_core::sync::Mutex;
use tokio::sync::Notify;

/// The ids of the logins that are under way.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<State>);

#[derive(Default)]
struct State {
    ids: Mutex<HashSet<String>>,
    ended: Notify,
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
        self.0.ids.lock().insert(id.to_owned());
        OneUnderWay { all: self.clone(), id: id.to_owned() }
    }

    /// Whether a login is under way.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.0.ids.lock().contains(id)
    }

    /// Waits until none is under way.
    pub async fn finish(&self) {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.0.ids.lock().is_empty() {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for OneUnderWay {
    fn drop(&mut self) {
        self.all.0.ids.lock().remove(&self.id);
        self.all.0.ended.notify_waiters();
    }
}
