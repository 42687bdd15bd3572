//! Turns messages into what backends speak in, and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::host_client::duration;
use super::proto;
use crate::logical::{
    Data, HeldLease, Lease, LogicalError, Operation, Request, Response, SpecialPaths,
};

/// Longest JSON of a request, in bytes. The host takes 32 MiB from its clients.
pub const LONGEST_DATA: usize = 64 * 1024;

/// The types of errors that hosts know.
mod error_type {
    pub const UNKNOWN: u32 = 0;
    pub const CODED: u32 = 3;
    pub const UNSUPPORTED_OPERATION: u32 = 5;
    pub const UNSUPPORTED_PATH: u32 = 6;
    pub const INVALID_REQUEST: u32 = 7;
}

/// A request as a backend takes it.
///
/// # Errors
/// When it is too long, or not of the form that hosts send.
pub fn request(request: Option<proto::Request>) -> Result<Request, LogicalError> {
    let request = request.ok_or_else(|| LogicalError::invalid("the call holds no request"))?;
    let operation = Operation::parse(&request.operation);
    // What a lease holds is the host's own, and refusing it would leave its session open.
    let is_about_lease = matches!(operation, Operation::Renew | Operation::Revoke);
    if request.data.len() > LONGEST_DATA && !is_about_lease {
        let message = format!("the request has more than {LONGEST_DATA} bytes");
        return Err(LogicalError::status(413, message));
    }
    let parts = data(&request.data)
        .and_then(|data| Ok((data, request.secret.as_ref().map(held_lease).transpose()?)));
    let (data, lease) = match parts {
        Ok(parts) => parts,
        // Not one of the errors after which a host never tries again to end a lease.
        Err(error) if is_about_lease => {
            return Err(LogicalError::status(500, error.to_string()));
        }
        Err(error) => return Err(error),
    };
    Ok(Request { operation, path: request.path, data, lease, mount_point: request.mount_point })
}

/// An object of JSON. What serde has against it may repeat it, secrets and all.
fn data(json: &[u8]) -> Result<Data, LogicalError> {
    if json.is_empty() {
        return Ok(Data::new());
    }
    match serde_json::from_slice(json) {
        Ok(Value::Object(data)) => Ok(data),
        Ok(Value::Null) => Ok(Data::new()),
        _ => Err(LogicalError::invalid("the request is no JSON object")),
    }
}

fn held_lease(secret: &proto::Secret) -> Result<HeldLease, LogicalError> {
    let options = secret.lease_options.unwrap_or_default();
    Ok(HeldLease {
        internal_data: data(secret.internal_data.as_bytes())?,
        issue_time: options.issue_time.and_then(|time| system_time(&time)),
        increment: duration(options.increment),
        ttl: duration(options.ttl),
    })
}

/// The answer to a request as a host takes it.
pub fn reply(outcome: Result<Option<Response>, LogicalError>) -> proto::HandleRequestReply {
    match outcome {
        Ok(answer) => proto::HandleRequestReply { response: answer.map(response), err: None },
        Err(error) => proto::HandleRequestReply {
            response: matches!(error, LogicalError::Invalid(_)).then(|| error_response(&error)),
            err: Some(proto_error(&error)),
        },
    }
}

/// An error as a host takes it.
pub fn proto_error(error: &LogicalError) -> proto::ProtoError {
    let (err_type, err_code) = match error {
        LogicalError::UnsupportedPath => (error_type::UNSUPPORTED_PATH, 0),
        LogicalError::UnsupportedOperation => (error_type::UNSUPPORTED_OPERATION, 0),
        LogicalError::Invalid(_) => (error_type::INVALID_REQUEST, 0),
        LogicalError::Status { status, .. } => (error_type::CODED, i64::from(*status)),
        LogicalError::Storage(_) => (error_type::UNKNOWN, 0),
    };
    proto::ProtoError { err_type, err_msg: error.to_string(), err_code }
}

/// A host takes the text of this error from the answer's data.
fn error_response(error: &LogicalError) -> proto::Response {
    let mut data = Data::new();
    data.insert("error".to_owned(), error.to_string().into());
    response(Response::of(data))
}

fn response(response: Response) -> proto::Response {
    proto::Response {
        secret: response.lease.map(secret),
        // A host refuses an answer whose data is no JSON.
        data: json(response.data.unwrap_or_default()),
        warnings: response.warnings,
    }
}

fn secret(lease: Lease) -> proto::Secret {
    proto::Secret {
        lease_options: Some(proto::LeaseOptions {
            ttl: nanoseconds(lease.ttl),
            renewable: lease.is_renewable,
            increment: 0,
            issue_time: Some(timestamp(lease.issue_time)),
            max_ttl: nanoseconds(lease.max_ttl),
        }),
        internal_data: json(lease.internal_data),
    }
}

fn json(data: Data) -> String {
    Value::Object(data).to_string()
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn timestamp(time: SystemTime) -> proto::Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    proto::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

fn system_time(time: &proto::Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(time.seconds).ok()?;
    let nanos = u32::try_from(time.nanos).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos.min(999_999_999)))
}

/// The special paths as a host takes them.
pub fn special_paths(paths: SpecialPaths) -> proto::Paths {
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    proto::Paths {
        root: owned(paths.root),
        unauthenticated: Vec::new(),
        local_storage: owned(paths.local_storage),
        seal_wrap_storage: owned(paths.seal_wrap_storage),
    }
}

/// What a backend would make of these bytes of a host's; `None` if they are no request.
#[cfg(any(test, fuzzing))]
pub fn decoded(bytes: &[u8]) -> Option<Result<Request, LogicalError>> {
    use prost::Message;

    let args = proto::HandleRequestArgs::decode(bytes).ok()?;
    Some(request(args.request))
}
