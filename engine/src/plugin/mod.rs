//! The protocol between a host, which is Vault or `OpenBao`, and a plugin: `HashiCorp`'s go-plugin
//! with the services of Vault's SDK, version 5, over gRPC and mutual TLS.
//!
//! Nothing here knows what the plugin is for: [`run`] serves any [`BackendType`]. gRPC's types stay
//! in this folder.
//!
//! * `handshake`: what the host says in the environment, and the one line that answers it.
//! * `tls`: two certificates that nobody else knows. `socket`: where we listen.
//! * `server`: serves until the host goes, which `presence` knows. `broker`, `controller`, `stdio`, `health`, `version` and
//!   `multiplexing` are the services of every plugin.
//! * `backend_service`: the mounts. `host_client` asks the host for storage and for what it tells
//!   about itself. `convert` turns messages into what backends speak in.
//! * `log`: lines that the host takes into its log.

mod backend_service;
mod broker;
mod controller;
mod convert;
mod handshake;
mod health;
mod host_client;
mod log;
mod multiplexing;
mod presence;
#[allow(missing_docs, clippy::all, clippy::pedantic)]
mod proto;
mod server;
mod socket;
mod stdio;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod version;

use std::process::ExitCode;

#[cfg(any(test, fuzzing))]
pub(crate) use convert::decoded;
use handshake::Invitation;

use crate::logical::BackendType;

/// Serves a kind of backend to the host that has started this process, until the host goes.
///
/// Without a host it says on stderr what this program is, and fails.
#[must_use]
pub fn run(backend: BackendType) -> ExitCode {
    let invitation = match Invitation::from_environment(|name| std::env::var(name).ok()) {
        Ok(invitation) => invitation,
        Err(error) => {
            eprintln!("{}: {error}", backend.name);
            return ExitCode::FAILURE;
        }
    };
    let runtime = match synapse_vault_auth_provider_core::process::runtime(backend.name) {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start a thread: {error}")),
    };
    let Ok(runtime) = runtime.get() else { return failed("the process has forked") };
    match runtime.block_on(server::serve(&invitation, backend)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    log::error(error);
    ExitCode::FAILURE
}
