//! One account: its entry in Vault, whose it is, and what is set of it.

pub mod account_entry;
pub mod account_locks;
pub mod attributes;
pub mod avatar;
pub mod claim;
pub mod conflict;
pub mod creation_method;
pub mod entry_store;
pub mod ownership;
#[cfg(test)]
mod stored_entries;
