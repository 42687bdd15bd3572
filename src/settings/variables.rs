//! The environment variables of Vault's and OpenBao's own command lines; the first that is set
//! counts.

pub const ADDRESS: &[&str] = &["VAULT_ADDR", "BAO_ADDR"];
pub const TOKEN: &[&str] = &["VAULT_TOKEN", "BAO_TOKEN"];
pub const NAMESPACE: &[&str] = &["VAULT_NAMESPACE", "BAO_NAMESPACE"];
pub const CA_CERT: &[&str] = &["VAULT_CACERT", "BAO_CACERT"];
pub const CA_PATH: &[&str] = &["VAULT_CAPATH", "BAO_CAPATH"];
pub const CLIENT_CERT: &[&str] = &["VAULT_CLIENT_CERT", "BAO_CLIENT_CERT"];
pub const CLIENT_KEY: &[&str] = &["VAULT_CLIENT_KEY", "BAO_CLIENT_KEY"];
pub const TLS_SERVER_NAME: &[&str] = &["VAULT_TLS_SERVER_NAME", "BAO_TLS_SERVER_NAME"];
pub const SKIP_VERIFY: &[&str] = &["VAULT_SKIP_VERIFY", "BAO_SKIP_VERIFY"];
