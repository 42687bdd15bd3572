//! The core of `synapse-vault-auth-provider`: logins to the Matrix homeserver Synapse with secrets
//! that lie in `HashiCorp` Vault or `OpenBao`.
//!
//! * [`token_hash`]: what a client presents instead of its secret.
//! * [`user_id`]: which user ids are safe to look up.
//! * [`settings`]: what an administrator may configure.
//! * [`http`]: how requests travel, to Vault and to the homeserver alike.
//! * [`vault`]: how Vault is reached and a secret read.
//! * [`login`]: the decision about a login.
//! * [`homeserver`]: Matrix's client-server API and Synapse's admin API.
//! * [`provisioning`]: accounts that log in through Vault, made, opened and closed.
//! * `file`: files that others may replace, on file systems that may hang.
//! * `memory`: what was left on the stack is wiped.
//! * [`metrics`]: what is counted for monitoring.
//! * [`notice`]: what the background has to say to the administrator.

pub mod credential;
mod file;
#[cfg(test)]
mod fuzz;
#[cfg(any(test, fuzzing))]
pub mod fuzz_targets;
pub mod homeserver;
pub mod http;
pub mod login;
mod memory;
pub mod metrics;
pub mod notice;
pub mod process;
pub mod provisioning;
pub mod random;
pub mod retry;
pub mod settings;
pub mod sync;
pub mod text;
pub mod token_hash;
pub mod user_id;
pub mod vault;
