//! Matrix Authentication Service (MAS): where it is, who we are to it, and what its sessions are like.

use std::time::Duration;

use super::error::{Lacking, SettingsError, in_key};
use super::proxies::checked_proxy;
use super::section::Section;
use super::{keys, tls};
use crate::homeserver::mas::{self, Ulid};
use crate::http::{BaseUrl, BaseUrlError, Proxies};
use crate::login::MasConfig;

/// What of a mapping names MAS and our client there.
pub struct Names {
    /// Where the admin API is.
    pub admin_api: &'static str,
    /// The id of our client.
    pub client_id: &'static str,
    /// Its secret; with `_file` behind it, the file that holds it.
    pub client_secret: &'static str,
    /// Where tokens are handed out.
    pub token_endpoint: &'static str,
    /// The file with the authorities to trust.
    pub ca_cert: &'static str,
    /// The same, as messages call it.
    pub trust_setting: &'static str,
}

/// In `mas`.
const IN_MAS: Names = Names {
    admin_api: "admin_api",
    client_id: "client_id",
    client_secret: "client_secret",
    token_endpoint: "token_endpoint",
    ca_cert: "ca_cert",
    trust_setting: "mas.ca_cert",
};

/// Reads `mas`. `None` if it is not there, or if this process lacks something, which is put off.
pub fn read(
    section: &mut Section<'_>,
    request_timeout: Duration,
    lacking: &mut Lacking,
) -> Result<Option<MasConfig>, SettingsError> {
    let Some(mut section) = section.section_unless_absent("mas", keys::MAS)? else {
        return Ok(None);
    };
    let server = read_server(&mut section, &IN_MAS, request_timeout, lacking)?;
    let session_lifetime = section.lifetime("session_lifetime")?;
    let admin_scope = section.boolean("admin_scope")?.unwrap_or(false);
    let pass_other_logins = section.boolean("pass_other_logins")?.unwrap_or(false);
    Ok(server.map(|server| MasConfig { server, session_lifetime, admin_scope, pass_other_logins }))
}

/// Reads where MAS is and who we are to it. `None` if this process lacks a file, which is put off.
/// Where MAS serves clients, its caller knows.
pub fn read_server(
    section: &mut Section<'_>,
    names: &Names,
    request_timeout: Duration,
    lacking: &mut Lacking,
) -> Result<Option<mas::Config>, SettingsError> {
    let admin_api = section.required(
        names.admin_api,
        "where Matrix Authentication Service's listener with the resource \"adminapi\" is, such as \
         \"http://localhost:8081\"",
    )?;
    let admin_api = in_key(section.name(names.admin_api), admin_api_at(&admin_api))?;
    let client_id = section.required(
        names.client_id,
        "the id of a client of Matrix Authentication Service that may use its admin API: one of \
         policy.data.admin_clients",
    )?;
    let client_id = in_key(section.name(names.client_id), Ulid::parse(&client_id))?;
    let client_secret = match lacking.put_off(section.credential(names.client_secret))? {
        Some(None) => {
            let required =
                format!("required: the client's secret, or {}_file", names.client_secret);
            return Err(section.wrong(names.client_secret, &required));
        }
        Some(Some(secret)) => Some(secret),
        None => None,
    };
    let token_endpoint = match section.string(names.token_endpoint)? {
        Some(text) => Some(in_key(section.name(names.token_endpoint), token_endpoint_at(&text))?),
        None => None,
    };
    let proxies = Proxies::from_environment(section.environment());
    checked_proxy(&proxies, &admin_api)?;
    let servers = [Some(&admin_api), token_endpoint.as_ref()];
    let is_https = servers.into_iter().flatten().any(BaseUrl::is_https);
    let tls = lacking.put_off(tls::read_trust(section, names.ca_cert, is_https, true))?;
    let (Some(client_secret), Some(tls)) = (client_secret, tls) else { return Ok(None) };
    Ok(Some(mas::Config {
        admin_api,
        public: None,
        token_endpoint,
        client_id,
        client_secret,
        tls,
        trust_setting: names.trust_setting,
        proxies,
        request_timeout,
    }))
}

/// The address in front of `/api/admin/v1`, which may be written as well.
fn admin_api_at(text: &str) -> Result<BaseUrl, String> {
    if let Some(socket) = BaseUrl::parse_unix_socket(text) {
        return Ok(socket);
    }
    let text = text.trim().trim_end_matches('/');
    let text = ["/api/admin/v1", "/api/admin"]
        .iter()
        .find_map(|path| text.strip_suffix(path))
        .unwrap_or(text);
    BaseUrl::parse(text).map_err(|error| match error {
        BaseUrlError::Scheme => format!("{error}, as in \"http://localhost:8081\""),
        _ => error.to_string(),
    })
}

/// A whole address: the path of an endpoint is MAS' to choose.
fn token_endpoint_at(text: &str) -> Result<BaseUrl, String> {
    let example = "as in \"https://auth.example.org/oauth2/token\"";
    let address = BaseUrl::parse(text).map_err(|error| match error {
        BaseUrlError::Scheme => format!("{error}, {example}"),
        _ => error.to_string(),
    })?;
    if address.path().is_empty() {
        return Err(format!("must be the whole address of the token endpoint, {example}"));
    }
    Ok(address)
}
