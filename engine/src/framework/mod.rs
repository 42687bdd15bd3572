//! Paths of a backend: which there are, what they take, what they say of themselves.
//!
//! * [`Path`] describes one kind of path: its [`Pattern`], its [`Field`]s and its operations.
//! * [`Call`] is a request that has found its path: what was captured, and what the fields hold.
//! * [`Router`] finds the path of a request, calls its operation, and answers what the host asks
//!   itself: existence checks and help.
//!
//! A backend's own state is the type `S` in all of these.

mod call;
mod field;
mod help;
mod openapi;
mod path;
mod pattern;
mod router;
#[cfg(test)]
mod tests;
mod value;

pub use call::Call;
pub use field::{Field, FieldKind};
pub use path::{Existence, Handler, Outcome, Path, PathOperation};
pub use pattern::{Capture, Pattern};
pub use router::Router;
pub use value::parse_duration;
