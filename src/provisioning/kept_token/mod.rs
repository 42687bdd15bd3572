//! Keeps an access token in Vault for a program that cannot log in, and replaces it in time.
//!
//! From the bottom up:
//! * [`place`] finds the entry, and refuses one that is not for this.
//! * [`kept_entry`] is what the entry holds, [`kept_store`] reads and writes it.
//! * [`mas_sessions`] are the sessions on its device, where Matrix Authentication Service opens
//!   them.
//! * [`keep`] is the verb. [`replacement`] opens the next session and writes its token, [`overlap`]
//!   ends the one before.

mod keep;
mod kept_entry;
mod kept_store;
mod mas_sessions;
mod overlap;
mod place;
mod replacement;

pub use keep::{KeepOptions, KeptToken};
