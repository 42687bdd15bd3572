//! Checks one after the other what a login needs, and says how to fix what is wrong.

mod homeserver;
mod login;
mod mount;
mod policy;
mod secrets_engine;
mod vault;

use super::findings::{Finding, Report};
use super::provisioner::Provisioner;

/// Why what needs a token is not looked at.
const NO_TOKEN: &str = "Vault has to accept the token first";

impl Provisioner {
    /// Checks what a login of this user takes, or what every login takes if no user is given.
    /// Nothing is changed; the user is logged in and out again.
    pub async fn diagnose(&self, user_id: Option<&str>) -> Vec<Finding> {
        let mut report = Report::default();
        let client = self.kv.client();
        let is_up = vault::look_at_nodes(&mut report, &client.nodes().await, &self.config.vault);
        let has_token = is_up && vault::look_at_token(&mut report, self.token_state().await);
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
}
