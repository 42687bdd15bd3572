//! A request to Vault: what it is for, what it asks, and how long its answer may be.

use reqwest::Method;
use rustify::endpoint::Endpoint;
use rustify::enums::RequestMethod;
use rustify::errors::ClientError;
use serde_json::Value;

use super::error::VaultError;
use crate::http::LONGEST_BODY;

/// What a request to Vault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// To read an entry.
    Read,
    /// To learn what is mounted, and in which version.
    Mount,
    /// To learn how long the module's token lives.
    LookupSelf,
    /// To renew it.
    RenewSelf,
    /// To get a token.
    Login,
    /// To unwrap a secret.
    Unwrap,
    /// To learn which node is active.
    Health,
    /// What no login needs, such as to write an entry. It is not measured.
    Other,
}

impl RequestKind {
    /// Those that are measured.
    pub const MEASURED: [Self; 7] = [
        Self::Read,
        Self::Mount,
        Self::LookupSelf,
        Self::RenewSelf,
        Self::Login,
        Self::Unwrap,
        Self::Health,
    ];

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mount => "mount",
            Self::LookupSelf => "lookup_self",
            Self::RenewSelf => "renew_self",
            Self::Login => "login",
            Self::Unwrap => "unwrap",
            Self::Health => "health",
            Self::Other => "other",
        }
    }
}

impl RequestKind {
    fn reads(self) -> &'static [&'static str] {
        match self {
            Self::Read | Self::Unwrap => &["/data"],
            Self::Mount => &["/data/path"],
            Self::LookupSelf => &["/data/ttl"],
            Self::RenewSelf | Self::Login => &["/auth/client_token"],
            Self::Health | Self::Other => &[],
        }
    }
}

/// A request to Vault, for any node and with any token. Its body may hold secrets.
pub struct Request {
    /// What it is for.
    pub kind: RequestKind,
    /// The HTTP method.
    pub method: Method,
    /// The path of the API, without a slash at its start.
    pub path: String,
    /// The query, encoded.
    pub query: Option<String>,
    /// The body, which is JSON.
    pub body: Option<Vec<u8>>,
    /// How many bytes the body of an answer may have.
    pub longest_answer: usize,
    /// What a success has that is Vault's: JSON pointers (RFC 6901), all of which lead to
    /// something.
    pub reads: &'static [&'static str],
}

impl Request {
    /// A request of the `vaultrs` crate.
    ///
    /// # Errors
    /// When its query or body cannot be written.
    pub fn of<E: Endpoint>(kind: RequestKind, endpoint: &E) -> Result<Self, VaultError> {
        // The crate's own error may show the request, with what is secret in it.
        let unwritable =
            |_: ClientError| VaultError::Unexpected("cannot build the request to Vault".to_owned());
        Ok(Self {
            query: endpoint.query().map_err(unwritable)?.filter(|query| !query.is_empty()),
            body: endpoint.body().map_err(unwritable)?.filter(|body| !body.is_empty()),
            // Some of the crate's paths begin with a slash or a tab.
            ..Self::new(
                kind,
                method_of(&endpoint.method()),
                endpoint.path().trim_start_matches(['/', '\t']),
            )
        })
    }

    /// A GET.
    #[must_use]
    pub fn get(kind: RequestKind, path: &str) -> Self {
        Self::new(kind, Method::GET, path)
    }

    /// A POST.
    #[must_use]
    pub fn post(kind: RequestKind, path: &str, body: Option<&Value>) -> Self {
        let body = body.map(|body| body.to_string().into_bytes());
        Self { body, ..Self::new(kind, Method::POST, path) }
    }

    fn new(kind: RequestKind, method: Method, path: &str) -> Self {
        let path = path.to_owned();
        let reads = kind.reads();
        Self { kind, method, path, query: None, body: None, longest_answer: LONGEST_BODY, reads }
    }

    /// The same, whose success has all that these JSON pointers lead to.
    #[must_use]
    pub fn reading(self, reads: &'static [&'static str]) -> Self {
        Self { reads, ..self }
    }

    /// Whether it changes nothing, so that it does no harm to send it twice.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

fn method_of(method: &RequestMethod) -> Method {
    match method {
        RequestMethod::CONNECT => Method::CONNECT,
        RequestMethod::DELETE => Method::DELETE,
        RequestMethod::GET => Method::GET,
        RequestMethod::HEAD => Method::HEAD,
        RequestMethod::LIST => Method::from_bytes(b"LIST").unwrap_or(Method::GET),
        RequestMethod::OPTIONS => Method::OPTIONS,
        RequestMethod::PATCH => Method::PATCH,
        RequestMethod::POST => Method::POST,
        RequestMethod::PUT => Method::PUT,
        RequestMethod::TRACE => Method::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
    use vaultrs::api::kv2::requests::ReadSecretRequest;

    use super::*;

    #[test]
    fn requests_of_the_crate_are_taken_as_they_are() {
        let (mount, path) = ("kv/deep".to_owned(), "users/@alice:example.org".to_owned());
        let endpoint = ReadSecretRequest { mount, path, version: Some(3) };
        let read = Request::of(RequestKind::Read, &endpoint).unwrap();
        assert_eq!((&read.method, read.is_read()), (&Method::GET, true));
        assert_eq!(read.path, "kv/deep/data/users/@alice:example.org");
        assert_eq!((read.query.as_deref(), &read.body), (Some("version=3"), &None));

        let [mount, role_id, secret_id] = ["approle", "r", "s"].map(str::to_owned);
        let endpoint = LoginWithApproleRequest { mount, role_id, secret_id };
        let login = Request::of(RequestKind::Login, &endpoint).unwrap();
        assert_eq!((&login.method, login.is_read()), (&Method::POST, false));
        assert_eq!(login.path, "auth/approle/login");
        let body: Value = serde_json::from_slice(&login.body.unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({"role_id": "r", "secret_id": "s"}));
    }
}
