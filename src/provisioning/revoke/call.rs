//! One call that revokes, with what every such call does.

use std::time::{Duration, SystemTime};

use super::super::account::account_entry::{Record, Revocation, RevocationWanted};
use super::super::account::entry_store::Current;
use super::super::error::ProvisioningError;
use super::super::mas_access::needs_mas_client;
use super::super::operation::Operation;
use super::super::provisioner::Provisioner;

/// How long a token works that opens another session: Synapse's default.
/// <https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html#login_via_existing_session>
const LOGIN_TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long it may take to log in with the secret that is to go.
pub const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// What a logout at the module does not end.
pub const NOT_OF_THE_MODULE: &str = "those that the module has not opened are not known to it";

/// Clocks tell whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// What to do beside removing the secret and ending the sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct RevokeOptions {
    /// Whether to close the account for good.
    pub deactivate: bool,
    /// Whether to wait until no session can be opened any more.
    pub wait: bool,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// An account that nobody can log in to through Vault any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedUser {
    /// Whose account it is.
    pub matrix_user_id: String,
    /// Whether there was anything in Vault to remove.
    pub secret_removed: bool,
    /// Whether its sessions were ended, and none can be opened any more.
    pub sessions_ended: bool,
    /// From when on another call can end the sessions for good, as of RFC 3339.
    pub sessions_end_at: Option<String>,
    /// Whether the account was deactivated.
    pub deactivated: bool,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// An entry without its secret.
pub struct Emptied {
    /// What took the secret's place.
    pub revocation: Revocation,
    /// When the secret was gone, by Vault's clock.
    pub at: SystemTime,
    /// How long ago that was.
    pub age: Duration,
}

/// How a call went, and how long it takes until it can be finished.
pub type Pass = Result<(RevokedUser, Option<Duration>), ProvisioningError>;

/// One call for one account.
pub struct Call<'a> {
    /// Whose configuration says how long the module accepts what is cached.
    pub provisioner: &'a Provisioner,
    /// The account and what it takes to change it.
    pub operation: Operation<'a>,
    /// What is wanted.
    pub options: RevokeOptions,
    /// Whether Matrix Authentication Service (MAS) signs users in, as far as the homeserver says.
    pub is_under_mas: bool,
    /// Why the homeserver has not said it.
    pub unanswered: Option<ProvisioningError>,
    /// What was done so far.
    pub revoked: RevokedUser,
}

impl Call<'_> {
    /// Finds out who signs users in. A homeserver that does not answer must not keep the secret.
    pub async fn look_for_mas(&mut self) -> Result<(), ProvisioningError> {
        let accounts = &self.operation.accounts;
        if accounts.is_mas() {
            self.is_under_mas = true;
            return Ok(());
        }
        let metadata = match self.operation.sessions.within(LOGIN_LIMIT).mas_metadata().await {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.unanswered = Some(error);
                return Ok(());
            }
        };
        if self.options.deactivate {
            return Err(needs_mas_client(&metadata, "to deactivate accounts"));
        }
        self.is_under_mas = true;
        Ok(())
    }

    /// Finds out what [`look_for_mas`](Self::look_for_mas) could not, once nothing is lost by it.
    ///
    /// # Errors
    /// When the homeserver does not answer. One that could not be reached is not waited for twice.
    pub async fn look_for_mas_again(&mut self) -> Result<(), ProvisioningError> {
        match self.unanswered.take() {
            None => {}
            Some(error) if error.is_unconnected => return Err(error),
            Some(_) => self.is_under_mas = self.operation.sessions.mas_metadata().await?.is_some(),
        }
        Ok(())
    }

    /// Whether the account can be changed without a session of its own. Synapse's administrators end
    /// no session at MAS.
    pub fn may_administer(&self) -> bool {
        let accounts = &self.operation.accounts;
        accounts.is_mas() || (accounts.is_administrator() && !self.is_under_mas)
    }

    /// Takes the secret out of the entry; `None` if there is nothing in it.
    pub async fn empty(&mut self) -> Result<Option<Emptied>, ProvisioningError> {
        let entry = &self.operation.entry;
        let mut rounds = entry.rounds();
        loop {
            let Current { version, record, is_stored, written, answered, .. } =
                rounds.next().await?;
            let now = answered.unwrap_or_else(SystemTime::now);
            let (had_secret, external_id) = match record {
                Record::Nothing => {
                    self.revoked.secret_removed |= is_stored;
                    return Ok(None);
                }
                Record::Revoking(revocation)
                    if revocation.wanted.deactivate || !self.options.deactivate =>
                {
                    entry.destroy_through(version.saturating_sub(1)).await?;
                    let at = written.unwrap_or(now);
                    let age = now.duration_since(at).unwrap_or_default();
                    return Ok(Some(Emptied { revocation, at, age }));
                }
                Record::Revoking(revocation) => (revocation.had_secret, revocation.external_id),
                Record::Entry(entry) => (true, entry.external_id),
                Record::Intent(intent) => (false, intent.external_id),
                Record::Unusable(_) => (false, None),
            };
            let revocation = Revocation {
                wanted: RevocationWanted { deactivate: self.options.deactivate },
                since: now.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs()),
                had_secret,
                external_id,
            };
            if let Some(written) = entry.write(revocation.fields(), version).await? {
                entry.destroy_through(version).await?;
                self.revoked.secret_removed = true;
                let at = humantime::parse_rfc3339(&written.created_time).unwrap_or(now);
                return Ok(Some(Emptied { revocation, at, age: Duration::ZERO }));
            }
        }
    }

    /// How long sessions may still be opened, and says so; `None` if not any more.
    pub async fn time_left(
        &mut self,
        emptied: &Emptied,
    ) -> Result<Option<Duration>, ProvisioningError> {
        if self.provisioner.config.login_times.is_none() {
            self.revoked.warnings.push(
                "it is not known whether the module caches secrets, as its configuration is not \
                 known: if it does, revoke again once cache.ttl and cache.stale_if_error are over"
                    .to_owned(),
            );
        }
        let time = self.time_to_outlast().await?;
        if time <= emptied.age {
            return Ok(None);
        }
        let time = time + SECOND;
        self.revoked.sessions_end_at = emptied
            .at
            .checked_add(time)
            .map(|at| humantime::format_rfc3339_seconds(at).to_string());
        Ok(Some(time.saturating_sub(emptied.age)))
    }

    /// How long after the secret is gone a session may be opened with what was got by it, as far as
    /// that is known.
    pub async fn time_to_outlast(&self) -> Result<Duration, ProvisioningError> {
        let tokens = if self.operation.sessions.give_login_tokens().await? {
            LOGIN_TOKEN_LIFETIME
        } else {
            Duration::ZERO
        };
        let times = self.provisioner.config.login_times;
        let cached = times.map(|times| times.cache_ttl.max(times.stale_if_error));
        Ok(tokens.max(cached.unwrap_or_default()))
    }

    pub fn warn_of_no_account(&mut self) {
        let warning = format!("the homeserver has no account {}", self.operation.account.user_id);
        self.revoked.warnings.push(warning);
    }

    pub fn warn_of_no_deactivation(&mut self) {
        let account = &self.operation.account;
        self.revoked.warnings.push(format!(
            "{} was not deactivated: Vault held no secret at {}",
            account.user_id, account.path
        ));
    }

    /// Why sessions may go on.
    pub fn warn_of_sessions(&mut self, why: &str) {
        let remedy = if self.is_under_mas {
            "A client of Matrix Authentication Service can end them: give mas_admin_api, \
             mas_client_id and mas_client_secret_file, and revoke again"
        } else {
            "An admin access token can end them"
        };
        self.revoked.warnings.push(format!(
            "sessions may go on, and the account was not deactivated: {why}. {remedy}"
        ));
    }

    /// What only an administrator can remove.
    pub fn warn_of_remains(&mut self) {
        self.revoked.warnings.push(format!(
            "a password or an e-mail address that was set for {} by somebody else would remain: \
             an admin access token can remove them",
            self.operation.account.user_id
        ));
    }
}
