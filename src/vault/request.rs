//! Requests that vaultrs does not know, or knows wrong.

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde_json::Value;

/// A request of any path, method and body.
pub struct Request {
    path: String,
    method: RequestMethod,
    body: Option<Value>,
}

impl Request {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), method: RequestMethod::GET, body: None }
    }

    /// A POST.
    pub fn post(path: impl Into<String>, body: Option<Value>) -> Self {
        Self { path: path.into(), method: RequestMethod::POST, body }
    }
}

impl Endpoint for Request {
    type Response = Value;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(self.body.as_ref().map(|body| body.to_string().into_bytes()))
    }
}

/// The path of the API that an endpoint asks for.
pub(super) fn path_of<E: Endpoint>(endpoint: &E) -> String {
    let mut path = endpoint.path();
    // Some of the crate's paths begin with a slash or a tab.
    let start = path.len() - path.trim_start_matches(['/', '\t']).len();
    path.drain(..start);
    path
}
