//! `vault_auth`: how the module logs in to Vault.

use super::error::SettingsError;
use super::section::Section;
use crate::credential::Credential;
use crate::http::Tls;
use crate::vault::Mount;
use crate::vault::auth::{AuthCredentials, AuthMethod, Unwrapped};

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const METHODS: &str = "approle, kubernetes, jwt, cert or userpass";

/// Reads the method and what it wants.
pub fn read(mut section: Section<'_>, tls: &Tls) -> Result<AuthMethod, SettingsError> {
    let method = section.required("method", &format!("one of {METHODS}"))?;
    let mount = section.string("mount")?.unwrap_or_else(|| method.clone());
    let proof = match method.as_str() {
        "approle" => approle(&mut section),
        "kubernetes" => kubernetes(&mut section),
        "jwt" => jwt(&mut section),
        "cert" => cert(&mut section, tls),
        "userpass" => userpass(&mut section),
        _ => return Err(section.wrong("method", &format!("must be {METHODS}"))),
    };
    // A misspelt key is what made another one missing: say the former.
    section.refuse_unknown_keys()?;
    let mount = mount.trim_matches('/').trim_start_matches("auth/").to_owned();
    let mount = Mount::parse(&mount).map_err(|error| section.wrong("mount", &error))?;
    Ok(AuthMethod { mount: mount.to_string(), proof: proof? })
}

fn approle(section: &mut Section<'_>) -> Result<AuthCredentials, SettingsError> {
    let role_id = section.credential("role_id");
    let secret_id = section.credential("secret_id");
    let wrapped = section.boolean("secret_id_wrapped");
    Ok(AuthCredentials::AppRole {
        role_id: given(section, "role_id", role_id?)?,
        secret_id: given(section, "secret_id", secret_id?)?,
        unwrapped: wrapped?.unwrap_or(false).then(Unwrapped::default),
    })
}

fn kubernetes(section: &mut Section<'_>) -> Result<AuthCredentials, SettingsError> {
    let role = section.required("role", "the name of the role in Vault");
    let jwt = match section.string("jwt_file") {
        Ok(path) => {
            section.secret_file("jwt_file", path.as_deref().unwrap_or(SERVICE_ACCOUNT_TOKEN))
        }
        Err(error) => Err(error),
    };
    Ok(AuthCredentials::Kubernetes { role: role?, jwt: Credential::File(jwt?) })
}

fn jwt(section: &mut Section<'_>) -> Result<AuthCredentials, SettingsError> {
    let role = section.string("role");
    let jwt = section.credential("jwt");
    Ok(AuthCredentials::Jwt { role: role?, jwt: given(section, "jwt", jwt?)? })
}

fn cert(section: &mut Section<'_>, tls: &Tls) -> Result<AuthCredentials, SettingsError> {
    let role = section.string("role")?;
    if tls.identity.is_none() {
        return Err(
            section.wrong("method", "cert needs client_cert and client_key under vault_tls")
        );
    }
    Ok(AuthCredentials::Cert { role })
}

fn userpass(section: &mut Section<'_>) -> Result<AuthCredentials, SettingsError> {
    let username = section.required("username", "the name of the user in Vault");
    let password = section.credential("password");
    let username = username?;
    if username.chars().any(|c| c.is_control() || c == '/')
        || matches!(username.as_str(), "." | "..")
    {
        return Err(section.wrong("username", "must hold no slash and no control character"));
    }
    Ok(AuthCredentials::Userpass { username, password: given(section, "password", password?)? })
}

fn given(
    section: &Section<'_>,
    key: &str,
    credential: Option<Credential>,
) -> Result<Credential, SettingsError> {
    credential.ok_or_else(|| section.wrong(key, &format!("required: this or {key}_file")))
}
