//! `config/homeserver/SERVER`: how a homeserver is reached.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use synapse_vault_auth_provider_core::homeserver::{
    HomeserverError, HomeserverUrl, LOGIN_TYPE, LoginEndpoint,
};

use super::parts::{MAX_TTL_FIELD, SERVER, SERVER_FIELD, TTL_FIELD, check_ttls, optional_text};
use crate::backend::clock::whole_seconds;
use crate::backend::homeservers::HomeserverClient;
use crate::backend::{Mount, names};
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
    mount.store.delete_homeserver(&server).await?;
    Ok(None)
}

async fn write(mount: Arc<Mount>, call: Call) -> Outcome {
    let server = names::server(&call)?;
    let before = mount.store.homeserver(&server).await?;
    let config = changed(&call, server, before)?;
    let client = mount.homeservers.client(&config).await?;
    mount.store.put_homeserver(&config).await?;
    let mut response = Response::of(shown(&config));
    response.warnings = Box::pin(try_out(&client)).await;
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
    if let Some(ttl) = call.duration("ttl")? {
        config.set_ttl(ttl);
    }
    if let Some(max_ttl) = call.duration("max_ttl")? {
        config.set_max_ttl(max_ttl);
    }
    check_ttls(config.ttl(), config.max_ttl())?;
    Ok(config)
}

/// What may keep users of the homeserver from logging in.
async fn try_out(client: &HomeserverClient) -> Vec<String> {
    let slot = client.slot().await;
    let (versions, offered) = tokio::join!(client.ask(slot.homeserver.versions()), async {
        let endpoint = client.find_endpoint(&slot).await?;
        let types = slot.homeserver.login_types_at(endpoint).await?;
        Ok::<_, HomeserverError>((endpoint, types))
    });
    if let Err(error) = versions {
        return vec![format!("no homeserver was found at this address: {error}")];
    }
    match offered {
        Err(error) => vec![format!("the homeserver does not tell which logins it offers: {error}")],
        Ok((_, types)) if types.iter().any(|offered| offered == LOGIN_TYPE) => Vec::new(),
        Ok((LoginEndpoint::Homeserver, _)) => vec![format!(
            "the homeserver offers no logins of the type {LOGIN_TYPE}; \
             does it load synapse_vault_auth_provider?"
        )],
        Ok((LoginEndpoint::Module, _)) => vec![format!(
            "the homeserver uses Matrix Authentication Service, \
             and its module offers no logins of the type {LOGIN_TYPE}"
        )],
    }
}

/// What is configured, as it is shown.
fn shown(config: &HomeserverConfig) -> Data {
    let seconds = |time: Option<Duration>| json!(time.map_or(0, whole_seconds));
    let ca_cert = config.address.ca_cert.as_deref().unwrap_or_default();
    [
        ("cs_url".to_owned(), json!(config.address.cs_url)),
        ("ca_cert".to_owned(), json!(ca_cert)),
        ("request_timeout".to_owned(), seconds(Some(config.request_timeout()))),
        ("ttl".to_owned(), seconds(config.ttl())),
        ("max_ttl".to_owned(), seconds(config.max_ttl())),
    ]
    .into_iter()
    .collect()
}
