//! One request to the homeserver.

use std::iter::once;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ruma_common::api::path_builder::PathBuilder;
use ruma_common::api::{OutgoingBody, OutgoingRequest};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{AccessToken, HomeserverError, HomeserverUrl};

/// All but RFC 3986's unreserved characters: what is left means nothing in a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Room for every body with a secret, so that growing leaves no copies behind.
pub const BODY_CAPACITY: usize = 16 * 1024;

/// What ruma's request of type `R` chooses its path by.
pub type PathInput<'a, R> =
    <<R as ruma_common::api::Metadata>::PathBuilder as PathBuilder>::Input<'a>;

/// A request, and the secrets in it, which no message may repeat.
pub struct Request<'a> {
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Option<Bytes>,
    secrets: Vec<&'a str>,
}

impl<'a> Request<'a> {
    /// A GET of the path that has these segments, whatever characters they are made of.
    pub fn get(path: &[&str]) -> Self {
        Self {
            method: Method::GET,
            path: encode(path),
            query: None,
            headers: HeaderMap::new(),
            body: None,
            secrets: Vec::new(),
        }
    }

    /// A POST with a JSON body, which is wiped on drop.
    pub fn post(path: &[&str], body: &impl Serialize) -> Result<Self, HomeserverError> {
        Self::with_body(Method::POST, path, body)
    }

    /// A PUT with a JSON body, which is wiped on drop.
    pub fn put(path: &[&str], body: &impl Serialize) -> Result<Self, HomeserverError> {
        Self::with_body(Method::PUT, path, body)
    }

    fn with_body(
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Self, HomeserverError> {
        let json = to_json(body).ok_or_else(unbuilt)?;
        let mut request = Self { method, body: Some(Bytes::from_owner(json)), ..Self::get(path) };
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(CONTENT_TYPE, json);
        Ok(request)
    }

    /// One of ruma's requests.
    pub fn of_ruma<R: OutgoingRequest>(
        request: R,
        path_input: PathInput<'_, R>,
    ) -> Result<Self, HomeserverError> {
        // Without a base, the URL is the path; without ruma's authentication, no copy of the token
        // is left behind.
        let (parts, body) = request
            .try_into_http_request_inner("", path_input)
            .map_err(|_| unbuilt())?
            .into_parts();
        let mut headers = parts.headers;
        if let (false, Some(content_type)) =
            (headers.contains_key(CONTENT_TYPE), body.content_type())
        {
            headers.insert(CONTENT_TYPE, content_type);
        }
        let body: Vec<u8> = body.try_into_buf().map_err(|_| unbuilt())?;
        Ok(Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(ToOwned::to_owned),
            headers,
            body: Some(body.into()).filter(|body: &Bytes| !body.is_empty()),
            secrets: Vec::new(),
        })
    }

    /// The same request by the session of this token.
    pub fn with_token(mut self, token: &'a AccessToken) -> Result<Self, HomeserverError> {
        let value = token.to_header().ok_or_else(unbuilt)?;
        self.headers.insert(reqwest::header::AUTHORIZATION, value);
        Ok(self.concealing(token.secret()))
    }

    /// The same request, no error of which repeats this secret.
    pub fn concealing(self, secret: &'a SecretString) -> Self {
        self.concealing_text(secret.expose_secret())
    }

    /// The same request, no error of which repeats this text.
    pub fn concealing_text(mut self, secret: &'a str) -> Self {
        // Every text has the empty one in it.
        self.secrets.extend(Some(secret).filter(|secret| !secret.is_empty()));
        self
    }

    /// Whether the request changes nothing.
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// The secrets in the request.
    pub fn secrets(&self) -> &[&'a str] {
        &self.secrets
    }

    /// The request as it goes to a homeserver.
    pub fn to_http(&self, homeserver: &HomeserverUrl) -> Result<reqwest::Request, HomeserverError> {
        let url = homeserver.base().join(&self.path, self.query.as_deref()).ok_or_else(unbuilt)?;
        let mut request = reqwest::Request::new(self.method.clone(), url);
        request.headers_mut().clone_from(&self.headers);
        if homeserver.base().socket().is_some() {
            // Synapse needs the address of a client, which a socket does not tell.
            request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
        }
        *request.body_mut() = self.body.clone().map(Into::into);
        Ok(request)
    }

    /// Method and path, for messages.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The percent-encoded path that has these segments, whatever characters they are made of.
pub fn encode(path: &[&str]) -> String {
    path.iter().flat_map(|part| once("/").chain(utf8_percent_encode(part, ENCODED))).collect()
}

/// A body in JSON, which is wiped on drop; `None` if JSON cannot express it.
pub fn to_json(body: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    let mut json = Zeroizing::new(Vec::with_capacity(BODY_CAPACITY));
    serde_json::to_writer(&mut *json, body).ok().map(|()| json)
}

fn unbuilt() -> HomeserverError {
    HomeserverError::unsent("cannot build the request to the homeserver")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(homeserver: &str, path: &[&str]) -> Option<String> {
        let homeserver = HomeserverUrl::parse(homeserver).unwrap();
        Request::get(path).to_http(&homeserver).ok().map(|request| request.url().to_string())
    }

    #[test]
    fn a_socket_tells_no_address() {
        let header = |homeserver: &str| {
            let homeserver = HomeserverUrl::parse(homeserver).unwrap();
            let request = Request::get(&["_matrix"]).to_http(&homeserver).unwrap();
            request.headers().get("x-forwarded-for").cloned()
        };
        assert_eq!(header("unix:///run/synapse.sock").unwrap(), "127.0.0.1");
        assert!(header("http://127.0.0.1:8008").is_none());
    }

    #[test]
    fn a_user_id_is_one_segment() {
        for (user_id, segment) in [
            ("@alice:example.org", "%40alice%3Aexample.org"),
            ("@a/b:x", "%40a%2Fb%3Ax"),
            ("@a%2fb:x", "%40a%252fb%3Ax"),
            ("@../..:x", "%40..%2F..%3Ax"),
            ("@a+b=c:x:8448", "%40a%2Bb%3Dc%3Ax%3A8448"),
            ("@a\\b?c#d;e&f:x", "%40a%5Cb%3Fc%23d%3Be%26f%3Ax"),
            ("@ü 日:x", "%40%C3%BC%20%E6%97%A5%3Ax"),
            ("@a\tb\nc:x", "%40a%09b%0Ac%3Ax"),
        ] {
            assert_eq!(
                url_of("http://h/prefix/", &["_synapse", "users", user_id, "devices"]).unwrap(),
                format!("http://h/prefix/_synapse/users/{segment}/devices")
            );
        }
    }

    #[test]
    fn a_path_that_would_be_resolved_is_not_asked_for() {
        for segment in [".", ".."] {
            assert_eq!(url_of("http://h", &["users", segment]), None);
            assert_eq!(url_of("http://h", &["users", segment, "devices"]), None);
        }
    }
}
