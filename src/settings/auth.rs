//! `vault_auth`: how the module logs in to Vault.

use serde_json::Value;

use super::error::SettingsError;
use super::keys;
use super::section::Section;
use crate::credential::Credential;
use crate::http::Tls;
use crate::vault::auth::{AuthCredentials, AuthMethod, Unwrapped};
use crate::vault::{AuthNamespace, Mount, TokenSource};

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const METHODS: &str = "approle, kubernetes, jwt, cert, userpass or proxy";

/// The keys that are allowed: those of the method, and of all methods where it is none of them.
pub fn keys(written: Option<&Value>) -> Vec<&'static str> {
    let method = written.and_then(|written| written.get("method")).and_then(Value::as_str);
    let is_of_method = |name: &str| match method {
        Some(method) if keys::AUTH_METHODS.iter().any(|(known, _)| *known == method) => {
            name == method
        }
        _ => true,
    };
    let of_methods = keys::AUTH_METHODS.iter().filter(|(name, _)| is_of_method(name));
    let mut allowed = keys::AUTH.to_vec();
    if method != Some(keys::PROXY) {
        allowed.extend(keys::AUTH_LOGIN);
    }
    for key in of_methods.flat_map(|(_, keys)| *keys) {
        if !allowed.contains(key) {
            allowed.push(key);
        }
    }
    allowed
}

/// Reads the method and what it wants.
pub fn read(mut section: Section<'_>, tls: &Tls) -> Result<TokenSource, SettingsError> {
    let method = section.required("method", &format!("one of {METHODS}"))?;
    if method == keys::PROXY {
        return Ok(TokenSource::Proxy);
    }
    let mount = section.string("mount")?.unwrap_or_else(|| method.clone());
    let mount = mount.trim_matches('/').trim_start_matches("auth/").to_owned();
    let mount = Mount::parse(&mount).map_err(|error| section.wrong("mount", &error))?;
    let namespace = match section.string("namespace")? {
        Some(path) => {
            AuthNamespace::parse(&path).map_err(|error| section.wrong("namespace", error))?
        }
        None => AuthNamespace::Configured,
    };
    let credentials = match method.as_str() {
        "approle" => approle(&mut section)?,
        "kubernetes" => kubernetes(&mut section)?,
        "jwt" => jwt(&mut section)?,
        "cert" => cert(&mut section, tls)?,
        "userpass" => userpass(&mut section)?,
        _ => return Err(section.wrong("method", &format!("must be {METHODS}"))),
    };
    Ok(TokenSource::Login(AuthMethod { mount: mount.to_string(), namespace, credentials }))
}

fn approle(section: &mut Section<'_>) -> Result<AuthCredentials, SettingsError> {
    let role_id = credential(section, "role_id")?;
    // A role with `bind_secret_id=false` has none.
    let secret_id = section.credential("secret_id")?;
    let is_wrapped = section.boolean("secret_id_wrapped")?.unwrap_or(false);
    if is_wrapped && secret_id.is_none() {
        return Err(
            section.wrong("secret_id", "required: this or secret_id_file, as it is wrapped")
        );
    }
    let unwrapped = is_wrapped.then(Unwrapped::default);
    Ok(AuthCredentials::AppRole { role_id, secret_id, unwrapped })
}

fn kubernetes(section: &mut Section<'_>) -> Result<AuthCredentials, SettingsError> {
    let role = section.required("role", "the name of the role in Vault")?;
    let path = section.string("jwt_file")?;
    let jwt = section.secret_file("jwt_file", path.as_deref().unwrap_or(SERVICE_ACCOUNT_TOKEN))?;
    Ok(AuthCredentials::Kubernetes { role, jwt: Credential::File(jwt) })
}

fn jwt(section: &mut Section<'_>) -> Result<AuthCredentials, SettingsError> {
    Ok(AuthCredentials::Jwt { role: section.string("role")?, jwt: credential(section, "jwt")? })
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
    let username = section.required("username", "the name of the user in Vault")?;
    if username.chars().any(|c| c.is_control() || c == '/')
        || matches!(username.as_str(), "." | "..")
    {
        return Err(section.wrong("username", "must hold no slash and no control character"));
    }
    Ok(AuthCredentials::Userpass { username, password: credential(section, "password")? })
}

/// A secret that must be there, in the configuration or in a file.
fn credential(section: &mut Section<'_>, key: &str) -> Result<Credential, SettingsError> {
    section
        .credential(key)?
        .ok_or_else(|| section.wrong(key, &format!("required: this or {key}_file")))
}
