//! Memory is given back empty.
//!
//! Our own values that hold a secret are wiped when they are dropped. Others are not: the libraries
//! that carry secrets, over HTTP and TLS, leave them in buffers, and HMAC leaves its key on the
//! stack. Here what is freed is wiped, and what was left on the stack on request.

use std::alloc::System;
use std::hint::black_box;

use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, and what is moved to grow or to shrink.
///
/// An extension module has an allocator of its own: that of Python, and those of other extensions,
/// stay as they are.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// How far down [`off_the_stack`] wipes, in bytes. An HMAC takes less than half of it.
const DEPTH: usize = 2048;

/// Calls `f` and wipes the part of the stack that it has used.
///
/// What it returns must hold nothing that is to be wiped, and it must go no deeper than [`DEPTH`].
pub fn off_the_stack<T>(f: impl FnOnce() -> T) -> T {
    let value = below(f);
    wipe_below();
    value
}

/// Gives `f` a frame where [`wipe_below`] has its own.
#[inline(never)]
fn below<T>(f: impl FnOnce() -> T) -> T {
    f()
}

#[inline(never)]
fn wipe_below() {
    // Whoever may look at the bytes, for all the compiler knows, must find them zero.
    black_box(&mut [0_u8; DEPTH]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_that_of_the_function() {
        assert_eq!(off_the_stack(|| 7), 7);
    }
}
