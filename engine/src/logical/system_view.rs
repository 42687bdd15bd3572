//! What the host tells about itself.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::storage::StorageError;

/// What a node is to its cluster, and its cluster to others. The bits are those of `ReplicationState`
/// in Vault's SDK (`helper/consts/replication.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationState(pub i32);

impl ReplicationState {
    const PERFORMANCE_SECONDARY: i32 = 0x40;
    const DISASTER_RECOVERY_SECONDARY: i32 = 0x200;
    const STANDBY: i32 = 0x4000;

    /// Whether another node does the work: this one is a standby that answers reads, or its cluster
    /// waits to take the place of another.
    #[must_use]
    pub fn is_standby(self) -> bool {
        self.0 & (Self::STANDBY | Self::DISASTER_RECOVERY_SECONDARY) != 0
    }

    /// Whether the cluster is a performance secondary of another one.
    #[must_use]
    pub fn is_performance_secondary(self) -> bool {
        self.0 & Self::PERFORMANCE_SECONDARY != 0
    }
}

/// What the host tells about itself, for one mount.
pub trait SystemView: Send + Sync {
    /// How long a lease of this mount lasts if nothing else says so.
    fn default_lease_ttl(&self) -> BoxFuture<'_, Result<Duration, StorageError>>;

    /// How long a lease of this mount lasts at most.
    fn max_lease_ttl(&self) -> BoxFuture<'_, Result<Duration, StorageError>>;

    /// Whether the mount is being disabled.
    fn is_tainted(&self) -> BoxFuture<'_, Result<bool, StorageError>>;

    /// What this node is to its cluster.
    fn replication_state(&self) -> BoxFuture<'_, Result<ReplicationState, StorageError>>;
}
