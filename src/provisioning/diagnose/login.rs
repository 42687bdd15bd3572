//! What `doctor` looks at for one user: the secret, and a login with it.

use secrecy::SecretString;

use super::super::account::account_entry::Record;
use super::super::account::conflict::will_be_deleted;
use super::super::account::sessions::{Freshness, LoginOptions};
use super::super::findings::Report;
use super::super::provisioner::Provisioner;
use crate::vault::{Client, Entry, KvReader};

impl Provisioner {
    /// Looks at a secret as the module does; `None` if it is of no use.
    pub(super) async fn look_at_secret(
        &self,
        report: &mut Report,
        user_id: &str,
    ) -> Option<SecretString> {
        let check = "secret";
        let operation = match self.operation(user_id) {
            Ok(operation) => operation,
            Err(error) => {
                report.failed(check, error.message, "give an id of this homeserver");
                return None;
            }
        };
        let vault = &self.config.vault;
        let client = match Client::new(vault, self.notices.clone()) {
            Ok(client) => client,
            Err(error) => {
                report.failed(check, error.to_string(), "check vault_tls");
                return None;
            }
        };
        let account = &operation.account;
        let path = &account.path;
        let below = vault.path_root.entry_of(&account.user_id);
        match KvReader::new(client, vault.kv_version).read_login_secret(&below).await {
            Ok(Entry::Secret(secret)) => {
                match operation.entry.read().await.ok().and_then(|newest| newest.deletion_time) {
                    Some(time) => report.warning(
                        check,
                        will_be_deleted(path, &time),
                        "take delete_version_after away from the mount and the entry",
                    ),
                    None => report.ok(check, format!("{path} has one")),
                }
                return Some(secret.login_secret);
            }
            Ok(Entry::Missing) => report.failed(
                check,
                format!("there is nothing at {path}"),
                format!("`synapse-vault provision {}`, or check vault_path_root", account.user_id),
            ),
            Ok(Entry::Unusable(problem)) => {
                let record = operation.entry.read().await.map(Record::of);
                let (detail, advice) = match record {
                    Ok(Record::Revoking(_)) => (
                        format!("{user_id} is being revoked"),
                        format!("`synapse-vault revoke {user_id}` finishes it"),
                    ),
                    Ok(Record::Intent(_)) => (
                        format!("{user_id} was left half-made"),
                        format!("`synapse-vault provision {user_id}` finishes it"),
                    ),
                    _ => (
                        format!("{path} is of no use: {problem}"),
                        "write a login_secret, or remove the entry and provision the user"
                            .to_owned(),
                    ),
                };
                report.failed(check, detail, advice);
            }
            Err(error) => report.failed(
                check,
                format!("cannot read {path}: {error}"),
                "fix what is wrong with Vault or the token",
            ),
        }
        None
    }

    /// Logs in with the secret, and out again.
    pub(super) async fn look_at_login(
        &self,
        report: &mut Report,
        user_id: &str,
        secret: &SecretString,
    ) {
        let Ok(operation) = self.operation(user_id) else { return };
        let options = LoginOptions::default();
        match operation.sessions.log_in(secret, &options, Freshness::Old).await {
            Ok(session) => {
                operation.sessions.forget(&session.access_token).await;
                report.ok("login", format!("{} logs in and out", session.user_id));
            }
            Err(error) => {
                let advice = error.advice.unwrap_or_else(|| "see the homeserver's log".to_owned());
                report.failed("login", error.message, advice);
            }
        }
    }
}
