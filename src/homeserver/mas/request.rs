//! One request to MAS.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::MasError;
use crate::homeserver::request::{BODY_CAPACITY, encode, to_json};
use crate::http::BaseUrl;

/// Where the admin API begins.
pub const ADMIN_API: &str = "/api/admin/v1";

/// What a request is for, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// MAS is asked where its endpoints are.
    Discovery,
    /// A token for the admin API.
    Token,
    /// What MAS knows of a user.
    User,
    /// A user is created.
    CreateUser,
    /// A user is changed: locked, deactivated, made an administrator.
    ModifyUser,
    /// Sessions are listed.
    ListSessions,
    /// A session is opened.
    OpenSession,
    /// A session is ended.
    EndSession,
    /// What a token is.
    Introspect,
    /// A request of somebody else's that is passed on.
    PassOn,
    /// The version, or what the site allows.
    Info,
}

impl RequestKind {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Discovery,
        Self::Token,
        Self::User,
        Self::CreateUser,
        Self::ModifyUser,
        Self::ListSessions,
        Self::OpenSession,
        Self::EndSession,
        Self::Introspect,
        Self::PassOn,
        Self::Info,
    ];

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Token => "token",
            Self::User => "user",
            Self::CreateUser => "create_user",
            Self::ModifyUser => "modify_user",
            Self::ListSessions => "list_sessions",
            Self::OpenSession => "open_session",
            Self::EndSession => "end_session",
            Self::Introspect => "introspect",
            Self::PassOn => "pass_on",
            Self::Info => "info",
        }
    }
}

/// A request, and the secrets in it, which no message may repeat.
pub struct Request<'a> {
    /// What it is for.
    pub kind: RequestKind,
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Option<Bytes>,
    secrets: Vec<&'a str>,
}

impl<'a> Request<'a> {
    /// A GET of the path below the admin API that has these segments, whatever characters they are
    /// made of.
    pub fn get(kind: RequestKind, path: &[&str]) -> Self {
        Self::of(kind, Method::GET, format!("{ADMIN_API}{}", encode(path)))
    }

    /// A POST below the admin API with a JSON body, which is wiped on drop.
    pub fn post(kind: RequestKind, path: &[&str], body: &impl Serialize) -> Result<Self, MasError> {
        let json = to_json(body).ok_or_else(unbuilt)?;
        let request = Self::of(kind, Method::POST, format!("{ADMIN_API}{}", encode(path)));
        Ok(request.with_body("application/json", json))
    }

    /// A POST below the admin API with nothing in it.
    pub fn post_nothing(kind: RequestKind, path: &[&str]) -> Self {
        Self::of(kind, Method::POST, format!("{ADMIN_API}{}", encode(path)))
    }

    /// A GET of a whole path.
    pub fn get_at(kind: RequestKind, encoded_path: &str) -> Self {
        Self::of(kind, Method::GET, encoded_path.to_owned())
    }

    /// A POST of a form to an address itself. The body is wiped on drop.
    pub fn post_form(kind: RequestKind, fields: &[(&str, &str)]) -> Self {
        let mut form = Zeroizing::new(String::with_capacity(BODY_CAPACITY));
        for (name, value) in fields {
            if !form.is_empty() {
                form.push('&');
            }
            form.extend(form_urlencoded::byte_serialize(name.as_bytes()));
            form.push('=');
            form.extend(form_urlencoded::byte_serialize(value.as_bytes()));
        }
        let form = Zeroizing::new(std::mem::take(&mut *form).into_bytes());
        let request = Self::of(kind, Method::POST, String::new());
        request.with_body("application/x-www-form-urlencoded", form)
    }

    /// A request of any kind to a whole path.
    pub fn of(kind: RequestKind, method: Method, path: String) -> Self {
        let (headers, secrets) = (HeaderMap::new(), Vec::new());
        Self { kind, method, path, query: None, headers, body: None, secrets }
    }

    fn with_body(mut self, content_type: &'static str, body: Zeroizing<Vec<u8>>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.with_raw_body(Bytes::from_owner(body))
    }

    /// The same request with this body.
    pub fn with_raw_body(self, body: Bytes) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The same request with these parameters.
    pub fn with_query(mut self, parameters: &[(&str, &str)]) -> Self {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        self.query = Some(query.finish()).filter(|query| !query.is_empty());
        self
    }

    /// The same request with another header.
    pub fn with_header(mut self, name: reqwest::header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same request, no error of which repeats this text.
    pub fn concealing(mut self, secret: &'a str) -> Self {
        // Every text has the empty one in it.
        self.secrets.extend(Some(secret).filter(|secret| !secret.is_empty()));
        self
    }

    /// Whether the request changes nothing. A request for a token is one: what the token is for was
    /// not sent yet.
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
            || matches!(self.kind, RequestKind::Introspect | RequestKind::Token)
    }

    /// The secrets in the request.
    pub fn secrets(&self) -> &[&'a str] {
        &self.secrets
    }

    /// The request as it goes to a server.
    pub fn to_http(&self, base: &BaseUrl) -> Result<reqwest::Request, MasError> {
        let url = base.join(&self.path, self.query.as_deref()).ok_or_else(unbuilt)?;
        let mut request = reqwest::Request::new(self.method.clone(), url);
        request.headers_mut().clone_from(&self.headers);
        *request.body_mut() = self.body.clone().map(Into::into);
        Ok(request)
    }
}

/// The error for a request that cannot be built.
pub fn unbuilt() -> MasError {
    MasError::unsent("cannot build the request to Matrix Authentication Service")
}
