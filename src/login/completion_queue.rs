//! From the threads that decide to the one that started: a queue, and a socket that wakes its
//! reader.
//!
//! The reader is the homeserver's reactor, which must neither wait nor be entered from another
//! thread. It watches the socket and empties the queue itself, so no thread of ours ever touches
//! the Python interpreter, which may be gone by the time Vault answers.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sync::Mutex;

/// A queue with a descriptor that is readable while it holds something.
pub struct CompletionQueue<T> {
    queue: Mutex<VecDeque<T>>,
    /// Whether a byte is under way, so that there is never more than one.
    signalled: AtomicBool,
    sender: UnixStream,
    receiver: UnixStream,
}

impl<T> CompletionQueue<T> {
    /// An empty queue.
    ///
    /// # Errors
    /// When the operating system has no sockets left.
    pub fn new() -> std::io::Result<Self> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        let signalled = AtomicBool::new(false);
        Ok(Self { queue: Mutex::default(), signalled, sender, receiver })
    }

    /// What to watch for readability.
    pub fn descriptor(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }

    /// Adds an item and wakes the reader.
    pub fn post(&self, item: T) {
        self.queue().push_back(item);
        self.signal();
    }

    /// Takes so many of the oldest at most; the descriptor stays readable while there are more.
    pub fn take(&self, most: usize) -> Vec<T> {
        let _ = (&self.receiver).read(&mut [0; 8]);
        // Cleared before the queue is looked at: what is posted after that signals again.
        self.signalled.store(false, Ordering::Release);
        let mut queue = self.queue();
        let count = most.min(queue.len());
        let taken = queue.drain(..count).collect();
        if !queue.is_empty() {
            self.signal();
        }
        taken
    }

    fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            // The one byte fits into an empty socket, whose other end lives as long as this one.
            let _ = (&self.sender).write(&[0]);
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.queue.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn nothing_is_lost_and_nothing_wakes_in_vain() {
        const EACH: usize = 2000;
        let completion_queue = Arc::new(CompletionQueue::new().unwrap());
        completion_queue.receiver.set_nonblocking(false).unwrap();
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let completion_queue = Arc::clone(&completion_queue);
                std::thread::spawn(move || (0..EACH).for_each(|item| completion_queue.post(item)))
            })
            .collect();
        let mut received = 0;
        // `take` waits for the byte here: a lost one would hang the test.
        while received < 4 * EACH {
            received += completion_queue.take(7).len();
        }
        assert_eq!(received, 4 * EACH);
        for sender in senders {
            sender.join().unwrap();
        }
    }

    #[test]
    fn the_oldest_come_first_and_the_rest_later() {
        let completion_queue = CompletionQueue::new().unwrap();
        (0..5).for_each(|item| completion_queue.post(item));
        assert_eq!(completion_queue.take(2), [0, 1]);
        completion_queue.post(5);
        assert_eq!(completion_queue.take(2), [2, 3]);
        // Waits for ever unless it is readable still.
        completion_queue.receiver.set_nonblocking(false).unwrap();
        assert_eq!(completion_queue.take(9), [4, 5]);
        completion_queue.receiver.set_nonblocking(true).unwrap();
        assert!(completion_queue.take(9).is_empty());
    }
}
