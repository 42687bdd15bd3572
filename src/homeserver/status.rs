//! What a status without success says of the request, whether the homeserver or MAS answered it.

use reqwest::StatusCode;

/// Whether the same request may succeed a moment later.
pub fn is_transient(status: u16) -> bool {
    matches!(status, 429 | 500 | 502..=599)
}

/// Whether something may have been done before this status was answered. 501 is for requests that
/// are not known. 503 may be of a proxy that has nobody to ask, but some say it as well, such as
/// Envoy, when the connection breaks on which they have passed a request on.
pub fn may_follow_the_deed(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}
