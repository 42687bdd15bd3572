//! The KV secrets engine: what an entry holds, and how entries are read and written.
//!
//! From the bottom up:
//! * [`entry`] is what an engine holds for a user.
//! * [`response`] is what the engine's answers mean, of either version.
//! * [`version`] finds out which version the engine is of.
//! * [`reader`] reads secrets for logins; [`v2`] reads and writes entries with their versions.

pub mod entry;
pub mod reader;
pub mod response;
pub mod v2;
pub mod version;
