//! Which keys each mapping of the configuration takes.

/// About logins alone, at the top level of the module's configuration.
pub const LOGIN: &[&str] = &[
    "login_timeout",
    "max_concurrent_lookups",
    "cache",
    "rotation_grace",
    "m_login_password_support_enabled",
    "allow_registration",
    "health_endpoint",
    "mas",
];

/// About Vault, at the top level of the module's configuration and among provisioning's settings.
pub const VAULT: &[&str] = &[
    "vault_url",
    "vault_token",
    "vault_token_file",
    "vault_auth",
    "vault_namespace",
    "vault_headers",
    "vault_tls",
    "vault_kv_mount_point",
    "vault_kv_version",
    "vault_path_root",
    "request_timeout",
];

/// About provisioning alone.
pub const PROVISIONING: &[&str] = &[
    "homeserver",
    "ca_cert",
    "server_name",
    "registration_shared_secret",
    "registration_shared_secret_file",
    "admin_access_token",
    "admin_access_token_file",
    "mas_admin_api",
    "mas_client_id",
    "mas_client_secret",
    "mas_client_secret_file",
    "mas_token_endpoint",
    "mas_ca_cert",
    "mas_shared_secret",
    "mas_shared_secret_file",
    "timeout",
    "engine",
];

/// In `cache`.
pub const CACHE: &[&str] = &["ttl", "stale_if_error", "max_entries"];

/// In `mas`.
pub const MAS: &[&str] = &[
    "admin_api",
    "client_id",
    "client_secret",
    "client_secret_file",
    "token_endpoint",
    "ca_cert",
    "session_lifetime",
    "admin_scope",
    "pass_other_logins",
];

/// In `vault_tls`.
pub const TLS: &[&str] =
    &["ca_cert", "ca_path", "client_cert", "client_key", "server_name", "skip_verify"];

/// In `vault_auth`, whatever the method.
pub const AUTH: &[&str] = &["method"];

/// In `vault_auth`, for each method by which the module logs in.
pub const AUTH_LOGIN: &[&str] = &["mount", "namespace"];

/// The method that is none: a proxy in front of Vault adds a token of its own.
pub const PROXY: &str = "proxy";

/// In `vault_auth`, for each method.
pub const AUTH_METHODS: &[(&str, &[&str])] = &[
    ("approle", APPROLE),
    ("kubernetes", KUBERNETES),
    ("jwt", JWT),
    ("cert", CERT),
    ("userpass", USERPASS),
    (PROXY, &[]),
];

const APPROLE: &[&str] =
    &["role_id", "role_id_file", "secret_id", "secret_id_file", "secret_id_wrapped"];
const KUBERNETES: &[&str] = &["role", "jwt_file"];
const JWT: &[&str] = &["role", "jwt", "jwt_file"];
const CERT: &[&str] = &["role"];
const USERPASS: &[&str] = &["username", "password", "password_file"];

/// Which keys are where, for whoever wrote one in the wrong mapping. Mappings end in a dot.
pub const PLACES: &[(&str, &[&str])] = &[
    ("", VAULT),
    ("cache.", CACHE),
    ("mas.", MAS),
    ("vault_tls.", TLS),
    ("vault_auth.", AUTH),
    ("vault_auth.", AUTH_LOGIN),
    ("vault_auth.", APPROLE),
    ("vault_auth.", KUBERNETES),
    ("vault_auth.", JWT),
    ("vault_auth.", CERT),
    ("vault_auth.", USERPASS),
];
