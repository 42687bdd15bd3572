//! Which servers and users there may be.

use synapse_vault_auth_provider_core::user_id::UserId;

use crate::framework::Call;
use crate::logical::LogicalError;

/// A user, whose id is safe to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The whole id.
    pub id: String,
    /// The name of the homeserver.
    pub server: String,
}

/// The user that a path names by `localpart` and `server`.
///
/// # Errors
/// When there can be no such user: 400.
pub fn user(call: &Call) -> Result<User, LogicalError> {
    let server = server(call)?;
    let id = format!("@{}:{server}", call.captured("localpart"));
    match UserId::parse(&id, &server) {
        Ok(_) => Ok(User { id, server }),
        Err(error) => Err(LogicalError::invalid(error.to_string())),
    }
}

/// The user that a path names by `user_id`.
///
/// # Errors
/// When there can be no such user: 400.
pub fn user_of_id(call: &Call) -> Result<User, LogicalError> {
    let id = call.captured("user_id");
    let user_id =
        UserId::of_any_server(id).map_err(|error| LogicalError::invalid(error.to_string()))?;
    let server = id.split_once(':').map_or("", |(_, server)| server).to_owned();
    check_server(&server)?;
    Ok(User { id: user_id.as_str().to_owned(), server })
}

/// The homeserver that a path names by `server`.
///
/// # Errors
/// When there can be no such server: 400.
pub fn server(call: &Call) -> Result<String, LogicalError> {
    let server = call.captured("server");
    check_server(server)?;
    Ok(server.to_owned())
}

/// After <https://spec.matrix.org/v1.16/appendices/#server-name>: a host name or an IP address, and
/// perhaps a port.
fn check_server(server: &str) -> Result<(), LogicalError> {
    let wrong = || {
        LogicalError::invalid(
            "a server name is a host name or an IP address, with a port if it has one, \
             such as \"example.org\" or \"example.org:8448\"",
        )
    };
    let (host, after) = match server.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(wrong)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            ("v6", after)
        }
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let is_named = !host.is_empty()
        && host.bytes().all(is_host)
        && !host.split('.').any(str::is_empty)
        && server.len() <= 230;
    let is_port = after.is_empty()
        || after.strip_prefix(':').is_some_and(|port| {
            (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
        });
    if is_named && is_port { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names() {
        for server in ["x", "example.org", "example.org:8448", "1.2.3.4", "[2001:db8::1]:8448"] {
            assert_eq!(check_server(server), Ok(()), "{server}");
        }
        for server in [
            "",
            ".",
            "..",
            "a..b",
            "a/b",
            "a b",
            "exämple.org",
            "x:",
            "x:port",
            "x:123456",
            "[::1",
            "[x]",
            "x\n",
            "x%2f",
            "*",
            "+",
            "@x",
        ] {
            assert!(check_server(server).is_err(), "{server}");
        }
    }
}
