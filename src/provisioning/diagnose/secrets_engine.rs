//! What `doctor` asks of the secrets engine, if that has the secrets.

use super::super::findings::Report;
use super::super::provisioner::Provisioner;
use super::policy::{ANYBODY, CHECKS, allows, look_at_policy};
use crate::vault::{SecretsEngine, VaultError, Version};

/// Where the secrets engine has the secrets for the module, below its mount.
const LOGIN_PATHS: &str = "login";

impl Provisioner {
    /// Looks at what the module needs of the secrets engine, which has a check of its own in the
    /// place of the KV engine's.
    pub(super) async fn look_at_secrets_engine(&self, report: &mut Report, user_id: Option<&str>) {
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
            report.skip_all(CHECKS, "the user has to be one of this homeserver");
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
            report.skipped(CHECKS[1], "it has to have sudo first");
            return;
        }
        // Here sudo is what reading takes, and no more than that.
        let may = may.map(|mut may| {
            may.retain(|capability| capability != "sudo");
            may
        });
        look_at_policy(report, &path, may);
    }
}
