//! Checks one after the other what a login needs, and says how to fix what is wrong.

mod homeserver;

use std::time::Duration;

use secrecy::SecretString;

use super::account::account_entry::Record;
use super::account::conflict::will_be_deleted;
use super::account::sessions::{Freshness, LoginOptions};
use super::findings::{Finding, Report};
use super::provisioner::Provisioner;
use crate::vault::{
    Client, Entry, KvReader, Mounted, Node, SecretsEngine, TokenState, VaultError, Version,
};

/// A token that ends within this time and cannot be renewed deserves a word.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// What the token's policies say.
const POLICY: [&str; 2] = ["may read", "may not write"];

/// Why what needs a token is not looked at.
const NO_TOKEN: &str = "Vault has to accept the token first";

/// How many paths of a policy are shown.
const MOST_PATHS: usize = 5;

/// Where the secrets engine has the secrets for the module, below its mount.
const LOGIN_PATHS: &str = "login";

/// A user whose path stands for all, where no user is given.
const ANYBODY: &str = "doctor";

impl Provisioner {
    /// Checks what a login of this user takes, or what every login takes if no user is given.
    /// Nothing is changed; the user is logged in and out again.
    pub async fn diagnose(&self, user_id: Option<&str>) -> Vec<Finding> {
        let mut report = Report::default();
        let client = self.kv.client();
        let is_up = look_at_nodes(&mut report, &client.nodes().await, &self.config.vault);
        let has_token = is_up && look_at_token(&mut report, self.token_state().await);
        if !is_up {
            report.skipped("token", "Vault has to answer first");
        }
        if has_token {
            self.look_at_mount(&mut report, user_id).await;
        } else {
            report.skip_all(["KV engine", "may read", "may not write"], NO_TOKEN);
        }
        let has_flow = self.look_at_homeserver(&mut report).await;
        let Some(user_id) = user_id else {
            report.skip_all(["secret", "login"], "name a user to check theirs");
            return report.0;
        };
        if let Ok(user_id) = self.user_id(user_id) {
            self.look_at_mas_account(&mut report, &user_id).await;
        }
        if !has_token {
            report.skip_all(["secret", "login"], NO_TOKEN);
        } else if let Some(secret) = self.look_at_secret(&mut report, user_id).await {
            if has_flow {
                self.look_at_login(&mut report, user_id, &secret).await;
            } else {
                report.skipped("login", "the homeserver has to offer the login type first");
            }
        } else {
            report.skipped("login", "there has to be a secret first");
        }
        report.0
    }

    async fn token_state(&self) -> Result<TokenState, VaultError> {
        let client = self.kv.client();
        match client.token_state().await {
            // Whatever a token may do, a live one is told of its mount.
            Ok(state @ (TokenState::Unknown | TokenState::OfProxy)) => {
                client.mounted().await.map(|_| state)
            }
            state => state,
        }
    }

    async fn look_at_mount(&self, report: &mut Report, user_id: Option<&str>) {
        let client = self.kv.client();
        let vault = &self.config.vault;
        let mount = &vault.mount;
        let version = match client.mounted().await {
            Ok(Mounted::Here(version)) => Some(version),
            Ok(Mounted::SecretsEngine) => {
                self.look_at_secrets_engine(report, user_id).await;
                return;
            }
            Ok(Mounted::Below(other)) => {
                let detail = format!("there is none at {mount}, but one at {other}");
                report.failed("KV engine", detail, "correct vault_kv_mount_point");
                report.skip_all(POLICY, "the KV engine has to be found first");
                return;
            }
            Ok(Mounted::Unknown) => None,
            Err(error) => {
                report.failed("KV engine", error.to_string(), "see Vault's own log");
                report.skip_all(POLICY, "the KV engine has to be found first");
                return;
            }
        };
        let number = |version| if version == Version::V1 { "1" } else { "2" };
        match (version, vault.kv_version) {
            (Some(found), Some(set)) if found != set => report.failed(
                "KV engine",
                format!("{mount} is of version {}", number(found)),
                format!("set vault_kv_version to {} or auto", number(found)),
            ),
            (Some(found), _) => {
                report.ok("KV engine", format!("{mount} is of version {}", number(found)));
            }
            (None, set) => report.warning(
                "KV engine",
                format!(
                    "Vault does not tell the token what is at {mount}; version {} is assumed",
                    number(set.unwrap_or(Version::V2))
                ),
                "check vault_kv_mount_point and the token's policy",
            ),
        }
        let version = version.or(vault.kv_version).unwrap_or(Version::V2);
        if version == Version::V2 {
            self.look_at_engine_settings(report).await;
        }
        let Ok(user_id) = self.user_id(user_id.unwrap_or(ANYBODY)) else {
            report.skip_all(POLICY, "the user has to be one of this homeserver");
            return;
        };
        let below = vault.path_root.entry_of(&user_id);
        let path = match version {
            Version::V1 => format!("{mount}/{below}"),
            Version::V2 => format!("{mount}/data/{below}"),
        };
        let may = client.capabilities(&path).await;
        if may.as_ref().is_ok_and(|may| !allows(may, "read")) {
            self.say_what_is_read(report, &path).await;
        }
        look_at_policy(report, &path, may);
    }

    /// Looks at what the module needs of the secrets engine, which has a check of its own in the
    /// place of the KV engine's.
    async fn look_at_secrets_engine(&self, report: &mut Report, user_id: Option<&str>) {
        let vault = &self.config.vault;
        let (mount, root) = (&vault.mount, vault.path_root.to_string());
        let engine = SecretsEngine::new(self.kv.client());
        let check = "secrets engine";
        if vault.kv_version == Some(Version::V2) {
            let detail = format!("{mount} is the secrets engine for Matrix, and no KV engine");
            report.failed(check, detail, "set vault_kv_version to 1 or auto");
        } else if root == LOGIN_PATHS {
            report.ok(check, format!("{mount} is the secrets engine for Matrix"));
        } else {
            let detail = format!("{mount} is the secrets engine for Matrix, and has no {root}/");
            report.failed(check, detail, format!("set vault_path_root to {LOGIN_PATHS}"));
        }
        // The module's token need not be told.
        match engine.has_homeserver(self.server_name()).await {
            Ok(true) | Err(VaultError::Denied { .. }) => {}
            Ok(false) => report.warning(
                check,
                format!("{mount} does not know {}, so it can log nobody in", self.server_name()),
                format!(
                    "`vault write {mount}/config/homeserver/{} cs_url={}`",
                    self.server_name(),
                    self.homeserver_url()
                ),
            ),
            Err(error) => report.failed(check, error.to_string(), "see Vault's own log"),
        }
        let Ok(user_id) = self.user_id(user_id.unwrap_or(ANYBODY)) else {
            report.skip_all(POLICY, "the user has to be one of this homeserver");
            return;
        };
        let path = format!("{mount}/{}", vault.path_root.entry_of(&user_id));
        let may = self.kv.client().capabilities(&path).await;
        let lacks_sudo = may.as_ref().is_ok_and(|may| allows(may, "read") && !allows(may, "sudo"));
        if may.as_ref().is_ok_and(|may| !allows(may, "read")) {
            self.say_what_is_read(report, &path).await;
        }
        if lacks_sudo {
            report.failed(
                "may read",
                format!("the token may read {path} without sudo, which the engine asks for"),
                "`synapse-vault policy --for module` prints the policy that is needed",
            );
            report.skipped(POLICY[1], "it has to have sudo first");
            return;
        }
        // Here sudo is what reading takes, and no more than that.
        let may = may.map(|mut may| {
            may.retain(|capability| capability != "sudo");
            may
        });
        look_at_policy(report, &path, may);
    }

    /// Says what the engine forgets by itself. A token that may not know that is no finding.
    async fn look_at_engine_settings(&self, report: &mut Report) {
        let Ok(Some(settings)) = self.kv.settings().await else { return };
        let mount = &self.config.vault.mount;
        if let Some(time) = settings.deletes_after() {
            report.warning(
                "KV engine",
                format!(
                    "Vault deletes each version in {mount} {time} after it was written \
                     (delete_version_after): nobody can log in after that"
                ),
                format!("`vault write {mount}/config delete_version_after=0s`"),
            );
        }
        let has_grace =
            self.config.login_times.is_some_and(|times| !times.rotation_grace.is_zero());
        if settings.max_versions == 1 && has_grace {
            report.warning(
                "KV engine",
                format!(
                    "{mount} keeps one version of each entry (max_versions), so rotation_grace has \
                     no effect"
                ),
                format!("`vault write {mount}/config max_versions=2`"),
            );
        }
    }

    /// Says that a token may not read a path, and what it may read instead where Vault tells that.
    async fn say_what_is_read(&self, report: &mut Report, path: &str) {
        let mount = format!("{}/", self.config.vault.mount);
        let mut detail = format!("the token may not read {path}");
        if let Ok(mut paths) = self.kv.client().readable_paths().await {
            paths.retain(|path| path.starts_with(&mount));
            paths.truncate(MOST_PATHS);
            if !paths.is_empty() {
                detail = format!("{detail}; its policy covers {}", paths.join(", "));
            }
        }
        report.failed(
            "may read",
            detail,
            "check vault_path_root and vault_kv_mount_point; \
             `synapse-vault policy --for module` prints the policy that they need",
        );
    }

    /// Looks at a secret as the module does; `None` if it is of no use.
    async fn look_at_secret(&self, report: &mut Report, user_id: &str) -> Option<SecretString> {
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

    async fn look_at_login(&self, report: &mut Report, user_id: &str, secret: &SecretString) {
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

/// Whether a node is there to ask.
fn look_at_nodes(report: &mut Report, nodes: &[Node], config: &crate::vault::Config) -> bool {
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
fn look_at_token(report: &mut Report, state: Result<TokenState, VaultError>) -> bool {
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

fn look_at_policy(report: &mut Report, path: &str, may: Result<Vec<String>, VaultError>) {
    let may = match may {
        Ok(may) => may,
        Err(error) => {
            let advice = "give it the policy \"default\", which lets it ask";
            let why = match error {
                VaultError::Denied { quote } => format!("it may not ask: 403{quote}"),
                error => error.to_string(),
            };
            report.warning("may read", format!("the token is not told: {why}"), advice);
            report.skipped("may not write", "the token is not told");
            return;
        }
    };
    if allows(&may, "read") {
        report.ok("may read", path);
    }
    let writes: Vec<&str> = ["root", "create", "update", "patch", "delete", "sudo"]
        .into_iter()
        .filter(|capability| may.iter().any(|one| one == capability))
        .collect();
    if writes.is_empty() {
        report.ok("may not write", path);
    } else {
        report.warning(
            "may not write",
            format!("the token may do more than read {path}: {}", writes.join(", ")),
            "the module needs no more than reading: give it a token of its own",
        );
    }
}

/// Whether capabilities allow something; `root` allows everything.
fn allows(may: &[String], capability: &str) -> bool {
    may.iter().any(|one| one == capability || one == "root")
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
