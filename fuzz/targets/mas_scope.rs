#![no_main]

use synapse_vault_auth_provider_core::fuzz_targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_targets::mas_scope(input));
