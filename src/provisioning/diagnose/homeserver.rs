//! What `doctor` asks the homeserver, and Matrix Authentication Service (MAS) where that signs users
//! in.

use std::cmp::Ordering;

use super::super::account::mas_account::MasAccount;
use super::super::account::remote_account::RemoteAccount;
use super::super::findings::Report;
use super::super::mas_access::MasAccess;
use super::super::provisioner::Provisioner;
use super::super::retry::retry;
use crate::homeserver::{AuthMetadata, LOGIN_TYPE};
use crate::retry::Deadline;
use crate::user_id::UserId;

/// The first version that opens personal sessions, which logins are under MAS.
const FIRST_WITH_SESSIONS: (u64, u64) = (1, 5);

/// The checks of MAS itself.
const MAS_CHECKS: [&str; 2] = ["MAS admin API", "MAS version"];

/// How to see what cannot be seen from here.
const PROXY: &str = "not visible from here: look at a login that was passed on in MAS' log. If it has \
     the address of Synapse and not that of the client, add Synapse's to http.trusted_proxies there";

impl Provisioner {
    /// Whether the module serves logins.
    pub(super) async fn look_at_homeserver(&self, report: &mut Report) -> bool {
        let url = self.homeserver_url();
        match self.homeserver.versions().await {
            Ok(_) => {
                let software = self.homeserver.software().await.ok().flatten();
                let software = software.map(|it| format!(" ({it})")).unwrap_or_default();
                report.ok("homeserver", format!("{url} answers{software}"));
            }
            Err(error) => {
                report.failed("homeserver", error.to_string(), "check its URL, and that it runs");
                report.skipped("login type", "the homeserver has to answer first");
                return false;
            }
        }
        let deadline = self.deadline();
        match self.login_service.mas(&self.homeserver, deadline).await {
            Ok(None) => {
                if self.mas.is_some() {
                    report.failed(
                        "MAS",
                        "mas is configured, and the homeserver signs its users in itself",
                        "take mas away, or enable matrix_authentication_service in homeserver.yaml",
                    );
                }
                self.look_at_login_types(report).await
            }
            Ok(Some(metadata)) => self.look_at_mas(report, &metadata, deadline).await,
            Err(error) => {
                let advice = error.advice.unwrap_or_else(|| "see the homeserver's log".to_owned());
                report.failed("MAS", error.message, advice);
                report.skipped("login type", "the homeserver has to say who signs users in first");
                false
            }
        }
    }

    async fn look_at_login_types(&self, report: &mut Report) -> bool {
        match self.homeserver.login_types().await {
            Ok(types) if types.iter().any(|offered| offered == LOGIN_TYPE) => {
                report.ok("login type", format!("{LOGIN_TYPE} is offered"));
                true
            }
            Ok(_) => {
                report.failed(
                    "login type",
                    format!("{LOGIN_TYPE} is not offered"),
                    "add the module to modules: in homeserver.yaml and restart the homeserver; \
                     if it is there, the worker that answers /login may not have it",
                );
                false
            }
            Err(error) => {
                report.failed("login type", error.to_string(), "see the homeserver's own log");
                false
            }
        }
    }

    async fn look_at_mas(
        &self,
        report: &mut Report,
        metadata: &AuthMetadata,
        deadline: Deadline,
    ) -> bool {
        let issuer = crate::text::quote(&metadata.issuer);
        report.ok("MAS", format!("{issuer} signs this homeserver's users in"));
        match &self.mas {
            Some(mas) => self.look_at_admin_api(report, mas, deadline).await,
            None => report.skip_all(
                MAS_CHECKS,
                "no client of its admin API is given: name Synapse's configuration with -c, or \
                 give mas_admin_api, mas_client_id and mas_client_secret_file",
            ),
        }
        let serves = self.look_at_login_of_module(report).await;
        if self.config.mas_passes_other_logins {
            report.skipped("MAS proxies", PROXY);
        }
        serves
    }

    async fn look_at_admin_api(&self, report: &mut Report, mas: &MasAccess, deadline: Deadline) {
        let [access, version] = MAS_CHECKS;
        let client = match mas.client(&self.login_service, &self.homeserver, deadline).await {
            Ok(client) => client,
            Err(error) => {
                let advice = error.advice.unwrap_or_else(|| {
                    "check mas.admin_api, and that it is the one of this homeserver".to_owned()
                });
                report.failed(access, error.message, advice);
                report.skipped(version, "MAS has to accept the client first");
                return;
            }
        };
        report.ok(
            access,
            format!(
                "answers, accepts the client {}, and belongs to {}",
                client.client_id(),
                self.server_name()
            ),
        );
        let action = "ask Matrix Authentication Service for its version";
        match retry(deadline, action, || client.version()).await {
            Ok(found) => match compared(&found) {
                Some(Ordering::Less) => report.failed(
                    version,
                    format!("{} opens no personal sessions", crate::text::quote(&found)),
                    "upgrade Matrix Authentication Service to 1.5 or newer",
                ),
                Some(_) => report.ok(version, crate::text::quote(&found)),
                None => report.warning(
                    version,
                    format!("{} is no version that is understood", crate::text::quote(&found)),
                    "logins need 1.5 or newer",
                ),
            },
            // It has no such endpoint before 1.5 either.
            Err(error) => report.failed(
                version,
                error.message,
                "logins need Matrix Authentication Service 1.5 or newer",
            ),
        }
    }

    async fn look_at_login_of_module(&self, report: &mut Report) -> bool {
        let check = "login type";
        let at = "/_synapse/client/vault_auth/login";
        match self.homeserver.login_types_of_module().await {
            Ok(Some(types)) if types.iter().any(|offered| offered == LOGIN_TYPE) => {
                report.ok(check, format!("{LOGIN_TYPE} is served at {at}"));
                true
            }
            Ok(_) => {
                report.failed(
                    check,
                    format!("the module serves no logins at {at}"),
                    "set mas in the module's configuration and restart the homeserver; if it is \
                     set, the worker that answers there may not have the module, or a reverse proxy \
                     does not hand this path on",
                );
                false
            }
            Err(error) => {
                report.failed(check, error.to_string(), "see the homeserver's own log");
                false
            }
        }
    }

    /// Looks at a user's account at MAS, where that signs users in.
    pub(super) async fn look_at_mas_account(&self, report: &mut Report, user_id: &UserId) {
        let deadline = self.deadline();
        let delegates = self.login_service.mas(&self.homeserver, deadline).await;
        let (Some(access), Ok(Some(_))) = (&self.mas, delegates) else { return };
        let account =
            RemoteAccount { homeserver: &self.homeserver, user_id: user_id.clone(), deadline };
        let account = MasAccount { access, service: &self.login_service, account };
        let check = "MAS account";
        match account.look_up().await {
            Ok(found) => match found.value {
                None => report.failed(
                    check,
                    format!("MAS has no user of just this name: {}", user_id.localpart()),
                    format!("`synapse-vault provision {user_id}`"),
                ),
                Some(user) if user.is_deactivated => report.failed(
                    check,
                    format!("{user_id} is deactivated at MAS"),
                    "reactivate the user there, or use another one",
                ),
                Some(user) if user.is_locked => report.failed(
                    check,
                    format!("{user_id} is locked at MAS"),
                    "unlock the user there",
                ),
                Some(_) => report.ok(check, format!("{user_id} may log in")),
            },
            Err(error) => {
                let advice = error.advice.unwrap_or_else(|| "see the log of MAS".to_owned());
                report.failed(check, error.message, advice);
            }
        }
    }
}

/// How a version such as `v1.22.0-3-gabc` compares with the first that is new enough.
fn compared(version: &str) -> Option<Ordering> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']);
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?).cmp(&FIRST_WITH_SESSIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, ordering) in [
            ("v1.22.0-3-gabcdef", Some(Ordering::Greater)),
            ("1.5.0", Some(Ordering::Equal)),
            ("v1.4.9", Some(Ordering::Less)),
            ("v0.17", Some(Ordering::Less)),
            ("main", None),
            ("v2", None),
        ] {
            assert_eq!(compared(version), ordering, "{version}");
        }
    }
}
