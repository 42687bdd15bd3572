//! Storage, and what the host tells about itself, as services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use synapse_vault_auth_provider_core::sync::Mutex;
use tonic::{Request, Response, Status, async_trait};

use super::super::proto;
use super::super::proto::Empty;
use super::super::proto::storage_server::Storage;
use super::super::proto::system_view_server::SystemView;
use crate::logical::READ_ONLY;

/// In the state of replication: a cluster that is a performance secondary of another.
pub const SECONDARY: i32 = 0x40;

/// What the host keeps and says.
#[derive(Default)]
pub struct HostState {
    /// What the plugin has stored.
    pub entries: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Whether writes are refused, as on a standby.
    pub is_read_only: AtomicBool,
    /// Prefixes of what a secondary cluster has for itself.
    pub local_storage: &'static [&'static str],
    /// Where writes are done and said to have failed.
    pub loses_answers_below: Mutex<Option<String>>,
    /// Whether the mount is being disabled.
    pub is_tainted: AtomicBool,
    /// What the node is to its cluster.
    pub replication_state: AtomicI32,
    /// How often storage was read.
    pub reads: AtomicU32,
}

/// What the host serves to a mount.
#[derive(Clone)]
pub struct HostService(pub Arc<HostState>);

impl HostService {
    fn write_error(&self, key: &str) -> String {
        let is_secondary = self.0.replication_state.load(Ordering::Relaxed) & SECONDARY != 0;
        let is_local = self.0.local_storage.iter().any(|prefix| key.starts_with(prefix));
        let is_read_only = self.0.is_read_only.load(Ordering::Relaxed);
        if is_read_only || (is_secondary && !is_local) {
            READ_ONLY.to_owned()
        } else {
            String::new()
        }
    }
}

#[async_trait]
impl Storage for HostService {
    async fn list(
        &self,
        request: Request<proto::StorageListArgs>,
    ) -> Result<Response<proto::StorageListReply>, Status> {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        let prefix = request.into_inner().prefix;
        let entries = self.0.entries.lock();
        let below = entries.keys().filter_map(|key| key.strip_prefix(&prefix));
        let mut keys: Vec<String> = below
            .map(|rest| rest.split_inclusive('/').next().unwrap_or_default().to_owned())
            .collect();
        keys.dedup();
        Ok(Response::new(proto::StorageListReply { keys, err: String::new() }))
    }

    async fn get(
        &self,
        request: Request<proto::StorageGetArgs>,
    ) -> Result<Response<proto::StorageGetReply>, Status> {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        let key = request.into_inner().key;
        // As the host's own check.
        let err = if key.contains("..") { "cannot reference parent paths" } else { "" };
        let value = self.0.entries.lock().get(&key).cloned();
        let entry =
            value.map(|value| proto::StorageEntry { key, value: value.into(), seal_wrap: false });
        Ok(Response::new(proto::StorageGetReply { entry, err: err.to_owned() }))
    }

    async fn put(
        &self,
        request: Request<proto::StoragePutArgs>,
    ) -> Result<Response<proto::StoragePutReply>, Status> {
        let entry = request.into_inner().entry.unwrap_or_default();
        let mut err = self.write_error(&entry.key);
        if err.is_empty() {
            let lost = self.0.loses_answers_below.lock().clone();
            if lost.is_some_and(|prefix| entry.key.starts_with(&prefix)) {
                "the answer was lost".clone_into(&mut err);
            }
            self.0.entries.lock().insert(entry.key, entry.value.into());
        }
        Ok(Response::new(proto::StoragePutReply { err }))
    }

    async fn delete(
        &self,
        request: Request<proto::StorageDeleteArgs>,
    ) -> Result<Response<proto::StorageDeleteReply>, Status> {
        let key = request.into_inner().key;
        let err = self.write_error(&key);
        if err.is_empty() {
            self.0.entries.lock().remove(&key);
        }
        Ok(Response::new(proto::StorageDeleteReply { err }))
    }
}

#[async_trait]
impl SystemView for HostService {
    async fn default_lease_ttl(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<proto::TtlReply>, Status> {
        Ok(Response::new(proto::TtlReply { ttl: 3_600_000_000_000 }))
    }

    async fn max_lease_ttl(&self, _: Request<Empty>) -> Result<Response<proto::TtlReply>, Status> {
        Ok(Response::new(proto::TtlReply { ttl: 7_200_000_000_000 }))
    }

    async fn tainted(&self, _: Request<Empty>) -> Result<Response<proto::TaintedReply>, Status> {
        let tainted = self.0.is_tainted.load(Ordering::Relaxed);
        Ok(Response::new(proto::TaintedReply { tainted }))
    }

    async fn replication_state(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<proto::ReplicationStateReply>, Status> {
        let state = self.0.replication_state.load(Ordering::Relaxed);
        Ok(Response::new(proto::ReplicationStateReply { state }))
    }
}
