#![no_main]

use vault_plugin_secrets_matrix::fuzz_targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_targets::engine_request(input));
