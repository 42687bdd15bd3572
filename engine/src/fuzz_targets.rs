//! What libFuzzer calls from `fuzz/`: it panics if it finds something that must never be.

pub use crate::fuzz::check as engine_request;
