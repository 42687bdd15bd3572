//! The engine: what a host makes of each mount.

#[cfg(test)]
mod fake_homeserver;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::backend::{Mount, leases, tick};
use crate::framework::Router;
use crate::logical::{
    Backend, BackendType, Host, LogicalError, Operation, Request, Response, SpecialPaths,
};
use crate::paths;
use crate::storage;

/// What hosts register, and make a mount of.
pub const BACKEND: BackendType = BackendType {
    name: "vault-plugin-secrets-matrix",
    version: concat!("v", env!("CARGO_PKG_VERSION")),
    special_paths: SpecialPaths {
        root: paths::ROOT,
        local_storage: storage::LOCAL,
        seal_wrap_storage: storage::SEALED,
    },
    make: |host| Engine::mount(host),
};

static ROUTER: Router<Mount> = Router { help: HELP, paths: paths::ALL };

const HELP: &str = "\
The Matrix secrets engine opens sessions at Matrix homeservers and hands out their access tokens \
with a lease. When the lease ends, the session is logged out.

Configure a homeserver at config/homeserver/SERVER and a user at config/user/LOCALPART/SERVER, then \
read user/LOCALPART/SERVER.";

/// One mount of the engine.
pub struct Engine {
    mount: Arc<Mount>,
}

impl Engine {
    /// A mount of this host.
    #[must_use]
    pub fn mount(host: Host) -> Arc<dyn Backend> {
        Arc::new(Self { mount: Mount::new(host) })
    }
}

impl Backend for Engine {
    fn handle(
        self: Arc<Self>,
        request: Request,
    ) -> BoxFuture<'static, Result<Option<Response>, LogicalError>> {
        let mount = Arc::clone(&self.mount);
        let changes = matches!(
            request.operation,
            Operation::Create | Operation::Update | Operation::Delete | Operation::Revoke
        );
        let under_way = changes.then(|| mount.under_way.begin_change());
        let work = async move {
            let _under_way = under_way;
            match request.operation {
                Operation::Renew => leases::renew(mount, request).await.map(Some),
                Operation::Revoke => leases::revoke(mount, request).await.map(|()| None),
                Operation::Rollback => {
                    if mount.host.system.is_tainted().await? {
                        tick::leave(&mount).await;
                    } else {
                        tick::begin(mount);
                    }
                    Ok(None)
                }
                _ => ROUTER.handle(mount, request).await,
            }
        };
        if changes { Box::pin(carried_through(work)) } else { Box::pin(work) }
    }

    fn exists(
        self: Arc<Self>,
        request: Request,
    ) -> BoxFuture<'static, Result<Option<bool>, LogicalError>> {
        let mount = Arc::clone(&self.mount);
        Box::pin(async move { ROUTER.exists(mount, request).await })
    }

    fn initialize(self: Arc<Self>) -> BoxFuture<'static, Result<(), LogicalError>> {
        tick::begin(Arc::clone(&self.mount));
        Box::pin(async { Ok(()) })
    }

    // Nothing of storage is remembered.
    fn invalidate(&self, _: &str) {}

    fn cleanup(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let mount = Arc::clone(&self.mount);
        Box::pin(async move { mount.close().await })
    }
}

/// Does what changes something in a task of its own: a call that is cancelled would stop halfway, and
/// what it holds would be free while a write of it is still on its way.
async fn carried_through<T: Send + 'static>(
    work: impl Future<Output = Result<T, LogicalError>> + Send + 'static,
) -> Result<T, LogicalError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(LogicalError::status(500, "the plugin has failed or is ending")))
}
