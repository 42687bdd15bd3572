//! `config/homeserver/SERVER`: how a homeserver is reached.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use synapse_vault_auth_provider_core::homeserver::{
    Homeserver, HomeserverUrl, LOGIN_TYPE, LoginEndpoint,
};

use super::parts::{
    MAX_TTL_FIELD, SERVER, SERVER_FIELD, TTL_FIELD, change_ttls, optional_text, shown_ttls,
};
use crate::backend::clock::whole_seconds;
use crate::backend::homeserver_client::HomeserverClient;
use crate::backend::{Mount, names, sessions};
use crate::framework::{Call, Field, FieldKind, Outcome, Path, PathOperation, Pattern};
use crate::logical::{Data, LogicalError, Operation, Response};
use crate::storage::{HomeserverAddress, HomeserverConfig};

/// Longest time that a request may have: the host waits for it before it can seal or step down.
const LONGEST_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Where it is.
const PREFIX: &str = "config/homeserver/";

/// A homeserver.
pub static PATH: Path<Mount> = Path {
    pattern: Pattern { prefix: PREFIX, captures: SERVER },
    synopsis: "Configure how a homeserver is reached.",
    description: "A homeserver is configured under the name that its user ids end with. A write \
                  tries the address, and warns if nothing answers there or if it offers no login \
                  of this kind. Sessions that were opened before still end if the homeserver is \
                  deleted here.",
    fields: &[
        SERVER_FIELD,
        Field::new(
            "cs_url",
            FieldKind::Text,
            "Where the homeserver answers clients, such as \"https://matrix.example.org\".",
        ),
        Field::new(
            "ca_cert",
            FieldKind::Text,
            "Certificates of the authorities to trust, in PEM, in place of those of the system. \
             Empty for those of the system.",
        ),
        Field::new(
            "request_timeout",
            FieldKind::Duration,
            "How long the homeserver may take to answer: 5 seconds unless another time is given, \
             and at most a minute.",
        ),
        TTL_FIELD,
        MAX_TTL_FIELD,
    ],
    operations: &[
        PathOperation {
            operation: Operation::Create,
            summary: "Configure a homeserver.",
            handler: |mount, call| Box::pin(write(mount, call)),
        },
        PathOperation {
            operation: Operation::Update,
            summary: "Change what is configured of a homeserver.",
            handler: |mount, call| Box::pin(write(mount, call)),
        },
        PathOperation {
            operation: Operation::Read,
            summary: "Read what is configured of a homeserver.",
            handler: |mount, call| Box::pin(read(mount, call)),
        },
        PathOperation {
            operation: Operation::Delete,
            summary: "Forget a homeserver.",
            handler: |mount, call| Box::pin(delete(mount, call)),
        },
    ],
    existence: Some(|mount, call| Box::pin(exists(mount, call))),
    is_root: false,
};

/// All homeservers.
pub static LIST: Path<Mount> = Path {
    pattern: Pattern { prefix: PREFIX, captures: &[] },
    synopsis: "List the homeservers that are configured.",
    description: "The names are sorted.",
    fields: &[],
    operations: &[PathOperation {
        operation: Operation::List,
        summary: "List the homeservers that are configured.",
        handler: |mount, _| {
            Box::pin(async move { Ok(Some(Response::list(mount.store.homeservers().await?))) })
        },
    }],
    existence: None,
    is_root: false,
};

async fn exists(mount: Arc<Mount>, call: Call) -> Result<bool, LogicalError> {
    let Ok(server) = names::server(&call) else { return Ok(false) };
    Ok(mount.store.homeserver(&server).await?.is_some())
}

async fn read(mount: Arc<Mount>, call: Call) -> Outcome {
    let server = names::server(&call)?;
    let config = mount.store.homeserver(&server).await?;
    Ok(config.map(|config| Response::of(shown(&config))))
}

async fn delete(mount: Arc<Mount>, call: Call) -> Outcome {
    let server = names::server(&call)?;
    mount.check_primary().await?;
    let deadline = sessions::deadline(&mount, &server).await;
    let _exclusive = mount.servers.change(&server, deadline).await?;
    mount.store.delete_homeserver(&server).await?;
    Ok(None)
}

async fn write(mount: Arc<Mount>, call: Call) -> Outcome {
    let server = names::server(&call)?;
    // Before anything is read: what a standby reads may be old.
    mount.check_primary().await?;
    let deadline = sessions::deadline(&mount, &server).await;
    let exclusive = mount.servers.change(&server, deadline).await?;
    let before = mount.store.homeserver(&server).await?;
    let config = changed(&call, server, before)?;
    let client = mount.homeservers.client(&config).await?;
    mount.store.put_homeserver(&config).await?;
    drop(exclusive);
    let mut response = Response::of(shown(&config));
    response.warnings.extend(Box::pin(try_out(&client)).await);
    Ok(Some(response))
}

/// What is configured after this call.
fn changed(
    call: &Call,
    server: String,
    before: Option<HomeserverConfig>,
) -> Result<HomeserverConfig, LogicalError> {
    let cs_url = optional_text(call, "cs_url")?.flatten();
    let mut config = match (before, &cs_url) {
        (Some(before), _) => before,
        (None, Some(cs_url)) => {
            let cs_url = cs_url.clone();
            HomeserverConfig::new(HomeserverAddress { server, cs_url, ca_cert: None })
        }
        (None, None) => {
            return Err(LogicalError::invalid(
                "cs_url is missing: where the homeserver answers clients, \
                 such as \"https://matrix.example.org\"",
            ));
        }
    };
    if let Some(cs_url) = cs_url {
        let url = HomeserverUrl::parse(&cs_url)
            .map_err(|error| LogicalError::invalid(format!("cs_url {error}")))?;
        config.address.cs_url = url.to_string();
    }
    if let Some(ca_cert) = optional_text(call, "ca_cert")? {
        config.address.ca_cert = ca_cert;
    }
    if let Some(timeout) = call.duration("request_timeout")? {
        if timeout.is_zero() || timeout > LONGEST_REQUEST_TIMEOUT {
            return Err(LogicalError::invalid(
                "request_timeout must be more than zero and at most a minute",
            ));
        }
        config.set_request_timeout(timeout.max(Duration::from_millis(1)));
    }
    change_ttls(call, &mut config.ttls)?;
    Ok(config)
}

/// What may keep users of the homeserver from logging in, as far as it can be found in the time
/// of one request: the host holds a lock.
async fn try_out(client: &HomeserverClient) -> Option<String> {
    let Some(slot) = client.slot(client.time_for_a_request()).await else {
        let why = "the address was not tried: too many requests to the homeserver are under way";
        return Some(why.to_owned());
    };
    if let Err(error) = slot.ask(Homeserver::versions).await {
        return Some(format!("no homeserver was found at this address: {error}"));
    }
    let offered = match slot.find_endpoint().await {
        Ok(endpoint) => {
            let types = slot.ask(|homeserver| homeserver.login_types_at(endpoint)).await;
            types.map(|types| (endpoint, types))
        }
        Err(error) => Err(error),
    };
    match offered {
        Err(error) => Some(format!("the homeserver does not tell which logins it offers: {error}")),
        Ok((_, types)) if types.iter().any(|offered| offered == LOGIN_TYPE) => None,
        Ok((LoginEndpoint::Homeserver, _)) => Some(format!(
            "the homeserver offers no logins of the type {LOGIN_TYPE}; \
             does it load synapse_vault_auth_provider?"
        )),
        Ok((LoginEndpoint::Module, _)) => Some(format!(
            "the homeserver uses Matrix Authentication Service, \
             and its module offers no logins of the type {LOGIN_TYPE}"
        )),
    }
}

/// What is configured, as it is shown.
fn shown(config: &HomeserverConfig) -> Data {
    let ca_cert = config.address.ca_cert.as_deref().unwrap_or_default();
    [
        ("cs_url".to_owned(), json!(config.address.cs_url)),
        ("ca_cert".to_owned(), json!(ca_cert)),
        ("request_timeout".to_owned(), json!(whole_seconds(config.request_timeout()))),
    ]
    .into_iter()
    .chain(shown_ttls(&config.ttls))
    .collect()
}
