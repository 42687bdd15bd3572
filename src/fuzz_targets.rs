//! What libFuzzer calls from `fuzz/`: each panics if it finds something that must never be.

pub use crate::homeserver::fuzz::{
    check_answer as homeserver_answer, check_path as homeserver_path,
};
pub use crate::homeserver::mas::fuzz::check as mas_scope;
pub use crate::settings::fuzz::check as settings;
pub use crate::token_hash::fuzz::check as token_hash;
pub use crate::vault::fuzz::{check_body as vault_answer, check_path as user_id};
