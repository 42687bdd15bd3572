//! The extension module's allocator.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed or moved, because libraries leave secrets in their buffers.
///
/// An extension module has an allocator of its own: that of Python, and those of other extensions,
/// stay as they are.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);
