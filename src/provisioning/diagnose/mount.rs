//! What `doctor` asks of the mount that has the secrets, and of a KV engine there.

use super::super::findings::Report;
use super::super::provisioner::Provisioner;
use super::policy::{ANYBODY, CHECKS, allows, look_at_policy};
use crate::vault::{Mounted, Version};

impl Provisioner {
    /// Looks at the mount, and at what the token may do there with the entry of this user.
    pub(super) async fn look_at_mount(&self, report: &mut Report, user_id: Option<&str>) {
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
                report.skip_all(CHECKS, "the KV engine has to be found first");
                return;
            }
            Ok(Mounted::Unknown) => None,
            Err(error) => {
                report.failed("KV engine", error.to_string(), "see Vault's own log");
                report.skip_all(CHECKS, "the KV engine has to be found first");
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
            report.skip_all(CHECKS, "the user has to be one of this homeserver");
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
}
