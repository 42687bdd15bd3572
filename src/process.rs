//! What belongs to the process that made it.
//!
//! A fork copies memory and no threads: a runtime that a child inherits has none of its threads,
//! and its sockets are the parent's. A child neither uses nor drops what it inherits.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A value that only the process that made it may use.
///
/// A child that inherits it by a fork gets an error in place of the value, and never drops it.
#[derive(Debug)]
pub struct ProcessLocal<T> {
    process: u32,
    /// `None` only while it is taken out.
    value: Option<T>,
}

/// A value belongs to another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("started in process {made_in} and used in process {used_in}; start it after the fork")]
pub struct Forked {
    /// The process that made the value.
    pub made_in: u32,
    /// The process that asked for it.
    pub used_in: u32,
}

impl<T> ProcessLocal<T> {
    /// A value of this process.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { process: std::process::id(), value: Some(value) }
    }

    /// The value.
    ///
    /// # Errors
    /// [`Forked`] in any other process.
    pub fn get(&self) -> Result<&T, Forked> {
        self.value.as_ref().filter(|_| self.is_ours()).ok_or_else(|| self.forked())
    }

    /// The value itself; `None` in any other process, where it is leaked.
    #[must_use]
    pub fn into_inner(mut self) -> Option<T> {
        if self.is_ours() { self.value.take() } else { None }
    }

    /// What is made of the value, which belongs to the same process.
    ///
    /// # Errors
    /// [`Forked`] in any other process, where the value is leaked.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Result<ProcessLocal<U>, Forked> {
        let forked = self.forked();
        self.into_inner().map(|value| ProcessLocal::new(make(value))).ok_or(forked)
    }

    /// Whether this process made the value.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    fn forked(&self) -> Forked {
        Forked { made_in: self.process, used_in: std::process::id() }
    }
}

impl<T> Drop for ProcessLocal<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.value.take());
        }
    }
}

/// A Tokio runtime with one worker thread of this name.
///
/// # Errors
/// When the operating system gives no thread.
pub fn runtime(thread_name: &str) -> io::Result<ProcessLocal<Runtime>> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(thread_name)
        .enable_io()
        .enable_time()
        .build()?;
    Ok(ProcessLocal::new(runtime))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_value_of_this_process_is_used_and_dropped() {
        let value = Arc::new(1);
        let local = ProcessLocal::new(Arc::clone(&value));
        assert_eq!(local.get().map(|value| **value), Ok(1));
        drop(local);
        assert_eq!(Arc::strong_count(&value), 1);
        assert!(ProcessLocal::new(Arc::clone(&value)).into_inner().is_some());
    }

    #[test]
    fn a_value_of_another_process_is_neither_used_nor_dropped() {
        let value = Arc::new(1);
        let made_in = std::process::id() + 1;
        let inherited = || ProcessLocal { process: made_in, value: Some(Arc::clone(&value)) };
        let forked = Forked { made_in, used_in: std::process::id() };
        assert_eq!(inherited().get(), Err(forked));
        assert!(inherited().into_inner().is_none());
        // Both are leaked.
        assert_eq!(Arc::strong_count(&value), 3);
    }
}
