//! A lock that a panic does not take away from others.

use std::fmt;
use std::sync::{MutexGuard, PoisonError};

/// A [`std::sync::Mutex`] that stays usable after a thread has panicked while it held it.
///
/// What these locks protect is written in one piece, so it is whole after a panic as well, and a
/// failed login must not take all later ones with it.
#[derive(Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_the_lock_to_others() {
        let mutex = Mutex::new(1);
        std::thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                let mut value = mutex.lock();
                *value = 2;
                panic!("while the lock is held");
            });
            assert!(panicking.join().is_err());
        });
        assert_eq!(*mutex.lock(), 2);
    }
}
