//! What keeps a token alive, or says in time that it will end.
//!
//! * [`login`] watches the tokens of an auth method: it can always get another one.
//! * [`given`] watches a token that others provide, in the configuration or in a file. It can only be
//!   renewed. [`announcement`] says that it will end.
//! * [`renewal`] and [`outage`] are what both do.

mod announcement;
mod given;
mod login;
mod outage;
mod renewal;

use std::sync::Arc;

use super::manager::TokenManager;
use super::source::TokenSource;

/// Keeps the module's token alive for as long as the process runs.
pub async fn watch(manager: Arc<TokenManager>) {
    match manager.source() {
        TokenSource::Login(_) => login::watch(&manager).await,
        TokenSource::Static(_) | TokenSource::File(_) => given::watch(&manager).await,
        TokenSource::Proxy => {
            // The proxy watches its own token.
            manager.set_accepted();
            std::future::pending::<()>().await;
        }
    }
}
