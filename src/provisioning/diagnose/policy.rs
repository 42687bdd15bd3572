//! What `doctor` asks of the token's policies.

use super::super::findings::Report;
use super::super::provisioner::Provisioner;
use crate::vault::VaultError;

/// What the token's policies say.
pub const CHECKS: [&str; 2] = ["may read", "may not write"];

/// A user whose path stands for all, where no user is given.
pub const ANYBODY: &str = "doctor";

/// How many paths of a policy are shown.
const MOST_PATHS: usize = 5;

impl Provisioner {
    /// Says that a token may not read a path, and what it may read instead where Vault tells that.
    pub(super) async fn say_what_is_read(&self, report: &mut Report, path: &str) {
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
}

pub fn look_at_policy(report: &mut Report, path: &str, may: Result<Vec<String>, VaultError>) {
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
pub fn allows(may: &[String], capability: &str) -> bool {
    may.iter().any(|one| one == capability || one == "root")
}
