//! Tokens that Vault grants, and how long they live.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::Instant;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest};

use super::identity::Identity;
use crate::vault::cluster::Cluster;
use crate::vault::error::quote;
use crate::vault::request::{Request, RequestKind};
use crate::vault::transport::{RequestHeaders, ServerResponse};
use crate::vault::{Token, VaultError};

/// A token that was granted, and for how long.
pub struct Granted {
    /// The token.
    pub token: Token,
    /// How long it lives.
    pub lease: Lease,
    /// How many requests it is good for; `None` for a token without such a limit.
    pub uses: Option<u64>,
    /// Whose it is.
    pub identity: Identity,
}

/// How long a token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The time that it was granted, or that it had left when it was looked up.
    pub ttl: Duration,
    /// When it ends; `None` for a token without an end.
    pub end: Option<Instant>,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// When it was granted or looked up, in wall-clock time.
    told: SystemTime,
}

/// When a token ends, in wall-clock time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenExpiry {
    /// It has no end.
    Never,
    /// It ends at this time, unless it is renewed.
    At(SystemTime),
}

impl Lease {
    fn of(seconds: u64, renewable: bool, has_end: bool) -> Self {
        let ttl = Duration::from_secs(seconds).min(LONGEST);
        let end = has_end.then(|| Instant::now() + ttl);
        Self { ttl, end, renewable, told: SystemTime::now() }
    }

    /// When the token ends, in wall-clock time, for those outside this process.
    #[must_use]
    pub fn wall_clock_end(&self) -> TokenExpiry {
        if self.end.is_some() { TokenExpiry::At(self.told + self.ttl) } else { TokenExpiry::Never }
    }

    /// The time left of a token that has an end.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// The longest lifetime. Longer ones are cut to it, so that no addition of times overflows.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The part of a login's or a renewal's answer that is used.
///
/// vaultrs' own type wants fields that not every token has.
#[derive(Deserialize)]
struct AuthAnswer {
    auth: Option<AuthPart>,
}

#[derive(Deserialize)]
struct AuthPart {
    client_token: SecretString,
    lease_duration: u64,
    renewable: bool,
    /// Zero for a token that may be used without limit.
    #[serde(default)]
    num_uses: u64,
    /// There if the login waits for a second factor. There is no token then.
    #[serde(default)]
    mfa_requirement: Option<IgnoredAny>,
    #[serde(default)]
    entity_id: Option<String>,
    /// What the method tells of who has logged in.
    #[serde(default)]
    metadata: Option<HashMap<String, Value>>,
}

/// The part of a token's own entry that is used.
#[derive(Deserialize)]
struct LookupAnswer {
    data: LookupPart,
}

#[derive(Deserialize)]
struct LookupPart {
    ttl: i64,
    #[serde(default)]
    renewable: bool,
    /// Absent for a token without an end. Its `ttl` is zero, as in the last second of others.
    expire_time: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
    /// That of the request that created it.
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    entity_id: Option<String>,
}

/// The answer to a token that looks itself up.
pub enum Lookup {
    /// The token is alive, with this lease, and is this one's.
    Alive(Lease, Identity),
    /// A 4xx. With a 403 the token is dead, or no policy lets it look itself up.
    Refused(Refusal),
}

/// The answer to a token that renews itself.
pub enum Renewal {
    /// The token has this lease now.
    Renewed(Lease),
    /// A 4xx.
    Refused(Refusal),
}

/// What kept a request about the token from succeeding, where another request may soon succeed or
/// fail alike. It says nothing about later requests.
pub struct Refusal {
    /// The status, if it is a 4xx of Vault's.
    pub status: Option<u16>,
    /// What happened, as the end of a message.
    pub text: String,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    fn of(answer: &ServerResponse) -> Option<Self> {
        let status = answer.status.as_u16();
        answer.status.is_client_error().then(|| Self {
            status: Some(status),
            text: format!("{status}{}", quote(&answer.body)),
            retry_after: answer.retry_after,
        })
    }

    /// For an error that no retry within seconds is likely to change, such as the page of a
    /// firewall.
    pub fn of_error(error: &VaultError) -> Option<Self> {
        (!error.is_transient()).then(|| Self {
            status: None,
            text: error.to_string(),
            retry_after: error.retry_after(),
        })
    }
}

/// Asks how long the token of these headers lives.
///
/// API: <https://developer.hashicorp.com/vault/api-docs/auth/token#lookup-a-token-self>
pub async fn look_up(
    cluster: &Arc<Cluster>,
    headers: RequestHeaders<'_>,
) -> Result<Lookup, VaultError> {
    let request = Request::of(RequestKind::LookupSelf, &LookupTokenSelfRequest::default())?;
    let answer = cluster.send(&request, headers).await?;
    if let Some(refusal) = Refusal::of(&answer) {
        return Ok(Lookup::Refused(refusal));
    }
    let LookupAnswer { data } =
        serde_json::from_slice(&answer.body).map_err(|_| not_understood())?;
    let seconds = u64::try_from(data.ttl).unwrap_or(0);
    let has_end = data.expire_time.is_some();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let identity =
        Identity::new(&text(&data.display_name), &text(&data.path), &text(&data.entity_id));
    Ok(Lookup::Alive(Lease::of(seconds, data.renewable, has_end), identity))
}

/// Renews the token of these headers.
///
/// API: <https://developer.hashicorp.com/vault/api-docs/auth/token#renew-a-token-self>
pub async fn renew(
    cluster: &Arc<Cluster>,
    headers: RequestHeaders<'_>,
) -> Result<Renewal, VaultError> {
    let request = Request::of(RequestKind::RenewSelf, &RenewTokenSelfRequest::default())?;
    let answer = cluster.send(&request, headers).await?;
    match Refusal::of(&answer) {
        Some(refusal) => Ok(Renewal::Refused(refusal)),
        None => granted("token", &answer).map(|granted| Renewal::Renewed(granted.lease)),
    }
}

/// Reads the token out of the answer to a login by this method, or to a renewal.
pub fn granted(method: &'static str, answer: &ServerResponse) -> Result<Granted, VaultError> {
    let auth = serde_json::from_slice::<AuthAnswer>(&answer.body)
        .ok()
        .and_then(|answer| answer.auth)
        .ok_or_else(not_understood)?;
    if auth.mfa_requirement.is_some() {
        return Err(VaultError::LoginRefused {
            method,
            status: answer.status.as_u16(),
            quote:
                " (it asks for a second factor, which the module does not have; exempt the role \
                    from the MFA enforcement of logins)"
                    .to_owned(),
        });
    }
    let token = Token::parse(&auth.client_token)
        .map_err(|error| VaultError::Unexpected(format!("the token that Vault granted {error}")))?;
    let lease = Lease::of(auth.lease_duration, auth.renewable, auth.lease_duration > 0);
    let uses = (auth.num_uses > 0).then_some(auth.num_uses);
    let metadata = auth.metadata.unwrap_or_default().into_iter();
    let texts = metadata.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
    let entity_id = auth.entity_id.unwrap_or_default();
    let identity = Identity::of_login(&texts.collect(), &entity_id);
    Ok(Granted { token, lease, uses, identity })
}

// The message of the parser is left out: it may quote the token.
fn not_understood() -> VaultError {
    VaultError::Unexpected(
        "Vault's answer about the module's token is not understood; check that vault_url is Vault's"
            .to_owned(),
    )
}
