//! What an error of the HTTP library means.

use std::error::Error;
use std::io;

use super::error::{TransportError, innermost_cause};
use super::route::Route;
use super::tls::{TlsFailure, describe};

/// What an error of the HTTP library means for a request on this way.
pub fn classify(error: reqwest::Error, route: &Route, trust_setting: &str) -> TransportError {
    let was_connected = !error.is_connect();
    if let Some(error) = find::<rustls::Error>(&error) {
        return match describe(error, trust_setting) {
            TlsFailure::Certificate(text) => TransportError::Certificate(text),
            TlsFailure::Protocol(cause) => TransportError::Protocol { cause, was_sent: false },
            TlsFailure::Other(cause) => TransportError::Unreachable { cause, was_connected },
        };
    }
    if let Some(error) = find::<hyper::Error>(&error).filter(|error| error.is_parse()) {
        // Hyper reads at most a hundred headers, and does not tell too many from too long ones.
        let cause = if error.to_string().contains("too large") {
            "answered with more than 100 headers, or longer ones than fit; \
             check what stands before it"
        } else {
            "answered with what is not HTTP; check the address, and what stands before it"
        };
        return TransportError::Protocol { cause: cause.to_owned(), was_sent: was_connected };
    }
    let cause = if !error.is_timeout() {
        innermost_cause(error)
    } else if route.waits_for_names() {
        "its name was not resolved in time; check the name servers of this machine".to_owned()
    } else {
        "it did not take the connection in time".to_owned()
    };
    TransportError::Unreachable { cause, was_connected }
}

/// The first error of a type among those behind an error.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // An error of input or output does not name the one inside it as its source.
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
        && let Some(found) = find(inner)
    {
        return Some(found);
    }
    find(error.source()?)
}
