//! The environment variables that the configuration is read with.

use std::collections::HashMap;

/// Environment variables, as they were when the configuration was read.
pub type Environment = HashMap<String, String>;
