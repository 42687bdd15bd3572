//! The program that Vault and `OpenBao` start for each of their mounts of this engine.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed or moved, because libraries leave secrets in their buffers.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    vault_plugin_secrets_matrix::plugin::run(vault_plugin_secrets_matrix::engine::BACKEND)
}
