//! Memory that held a secret is wiped.
//!
//! Our own values that hold a secret are wiped when they are dropped. Others are not: the libraries
//! that carry secrets, over HTTP and TLS, leave them in buffers, and HMAC leaves its key on the
//! stack. The stack is wiped here, on request. Freed memory is wiped by the global allocator, which
//! every program and extension module that is built on this crate installs for itself.

use std::hint::black_box;

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
    // `black_box` keeps the compiler from removing this write.
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
