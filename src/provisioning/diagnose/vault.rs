//! What `doctor` asks of the nodes of Vault, and of the token.

use std::time::Duration;

use super::super::findings::Report;
use super::super::provisioner::Provisioner;
use crate::vault::{Config, Node, TokenState, VaultError};

/// A token that ends within this time and cannot be renewed deserves a word.
const SOON: Duration = Duration::from_secs(24 * 3600);

impl Provisioner {
    /// What Vault says of the token.
    pub(super) async fn token_state(&self) -> Result<TokenState, VaultError> {
        let client = self.kv.client();
        match client.token_state().await {
            // Whatever a token may do, a live one is told of its mount.
            Ok(state @ (TokenState::Unknown | TokenState::OfProxy)) => {
                client.mounted().await.map(|_| state)
            }
            state => state,
        }
    }
}

/// Whether a node is there to ask.
pub fn look_at_nodes(report: &mut Report, nodes: &[Node], config: &Config) -> bool {
    let is_up = nodes.iter().any(|node| matches!(node.health, Ok(200 | 429 | 473)));
    for Node { address, health } in nodes {
        let check = "Vault";
        let (detail, advice) = match health {
            Ok(200) => {
                report.ok(check, format!("{address} is the active node"));
                continue;
            }
            Ok(429 | 473) => {
                report.ok(check, format!("{address} is a standby"));
                continue;
            }
            Ok(472) => (
                format!("{address} is a disaster recovery secondary, and is not used"),
                "leave it out of vault_url until it is the primary",
            ),
            Ok(474) => (
                format!("{address} is a standby that does not reach the active node"),
                "see Vault's log there",
            ),
            Ok(501) => (format!("{address} is not initialized"), "`vault operator init`"),
            Ok(503) => (format!("{address} is sealed"), "`vault operator unseal`"),
            Ok(530) => {
                (format!("{address} was removed from its cluster"), "leave it out of vault_url")
            }
            Ok(status) => (
                format!("{address} answers {status} when asked for its health"),
                "check that vault_url is Vault's",
            ),
            Err(error) => (error.to_string(), "check vault_url and vault_tls, and that Vault runs"),
        };
        // One that is down does no harm while another one answers.
        if is_up {
            report.warning(check, detail, advice);
        } else {
            report.failed(check, detail, advice);
        }
    }
    for Node { address, .. } in nodes {
        if !address.is_https() && !address.is_loopback() {
            report.warning(
                "TLS",
                format!("{address} is not encrypted: whoever is on the way reads secrets"),
                "use https://",
            );
        }
    }
    if config.connection.tls.skip_verify {
        let detail = "certificates are not verified";
        report.warning("TLS", detail, "take skip_verify away and give ca_cert instead");
    }
    is_up
}

/// Whether there is a token that Vault accepts.
pub fn look_at_token(report: &mut Report, state: Result<TokenState, VaultError>) -> bool {
    let check = "token";
    match state {
        Ok(TokenState::Alive { left: None, .. }) => report.ok(check, "accepted; it has no end"),
        Ok(TokenState::Alive { left: Some(left), renewable }) => {
            let detail = format!("accepted; it ends in {}", in_words(left));
            if renewable {
                report.ok(check, format!("{detail} unless it is renewed, which the module does"));
            } else if left < SOON {
                report.warning(check, detail, "give the module a renewable token, or vault_auth");
            } else {
                report.ok(check, detail);
            }
        }
        Ok(TokenState::OfProxy) => report.ok(check, "accepted; the proxy at vault_url adds it"),
        Ok(TokenState::Unknown) => report.warning(
            check,
            "accepted; it may not look at itself, so its end is not known",
            "give it the policy \"default\" as well",
        ),
        Err(error) => {
            report.failed(check, error.to_string(), "check vault_token, its file, or vault_auth");
            return false;
        }
    }
    true
}

/// A time as somebody would say it: in the largest unit of which there are at least two.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(24 * 3600, "days"), (3600, "hours"), (60, "minutes")];
    match units.into_iter().find(|(unit, _)| seconds >= 2 * unit) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_one_unit() {
        let day = 24 * 3600;
        for (seconds, said) in [
            (0, "0 seconds"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (2 * day - 1, "47 hours"),
            (32 * day - 1, "31 days"),
            (768 * 3600, "32 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), said);
        }
    }
}
