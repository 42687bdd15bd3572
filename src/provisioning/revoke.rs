//! Takes an account's secret away, and what was opened with it.
//!
//! Whoever had the secret may have left more than sessions: a password, an e-mail address by which
//! it can be reset, a token that opens another session within minutes, and for as long as the
//! module caches the secret, another login. So there is an order:
//! 1. The entry loses its secret at once. A version that says what was wanted takes its place, and
//!    the earlier versions are destroyed.
//! 2. What else lets somebody in is removed, and all sessions are ended.
//! 3. Once nothing can open another session any more, all sessions are ended again, and the entry
//!    is removed.
//!
//! A call that crashes, or that ends before the third step, is finished by the same call.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use super::account::account_entry::{Record, Revocation, RevocationWanted};
use super::account::entry_store::Current;
use super::account::sessions::{Freshness, LoginOptions};
use super::error::ProvisioningError;
use super::mas_access::needs_mas_client;
use super::operation::Operation;
use super::provisioner::Provisioner;
use crate::homeserver::AccessToken;

/// How long a token works that opens another session: Synapse's default.
/// <https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html#login_via_existing_session>
const LOGIN_TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long it may take to log in with the secret that is to go.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// What a logout at the module does not end.
const NOT_OF_THE_MODULE: &str = "those that the module has not opened are not known to it";

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
struct Emptied {
    revocation: Revocation,
    /// When the secret was gone, by Vault's clock.
    at: SystemTime,
    /// How long ago that was.
    age: Duration,
}

/// How a call went, and how long it takes until it can be finished.
type Pass = Result<(RevokedUser, Option<Duration>), ProvisioningError>;

impl Provisioner {
    /// Removes the secret with all its versions, ends all sessions, and deactivates the account if
    /// that is wanted.
    ///
    /// With an admin token it also removes what else may let somebody in; an account without an
    /// entry is logged out and nothing else. Without an admin token it takes a login with the very
    /// secret that is removed, and what cannot be done is said in a warning.
    ///
    /// # Errors
    /// What either server has against it. Doing it again does what is left.
    pub async fn revoke_user(
        &self,
        user_id: &str,
        options: RevokeOptions,
    ) -> Result<RevokedUser, ProvisioningError> {
        if let Some(engine) = self.secrets_engine() {
            return self.revoke_in(&engine, user_id, options).await;
        }
        let (mut revoked, mut left) = self.revoke_once(user_id, options).await?;
        while let Some(wait) = left.filter(|_| options.wait && !options.dry_run) {
            tokio::time::sleep(wait).await;
            let secret_removed = revoked.secret_removed;
            (revoked, left) = self.revoke_once(user_id, options).await?;
            revoked.secret_removed |= secret_removed;
        }
        Ok(revoked)
    }

    async fn revoke_once(&self, user_id: &str, options: RevokeOptions) -> Pass {
        let operation = self.operation(user_id)?;
        let revoked = RevokedUser {
            matrix_user_id: operation.account.user_id.to_string(),
            secret_removed: false,
            sessions_ended: false,
            sessions_end_at: None,
            deactivated: false,
            warnings: Vec::new(),
        };
        let mut call = Call { provisioner: self, operation, options, is_under_mas: false, revoked };
        call.look_for_mas().await?;
        if options.dry_run {
            call.plan().await
        } else if call.may_administer() {
            call.by_administrator().await
        } else {
            call.by_owner().await
        }
    }
}

/// One call.
struct Call<'a> {
    provisioner: &'a Provisioner,
    operation: Operation<'a>,
    options: RevokeOptions,
    /// Whether Matrix Authentication Service (MAS) signs users in, as far as the homeserver says.
    is_under_mas: bool,
    revoked: RevokedUser,
}

impl Call<'_> {
    /// Finds out who signs users in. A homeserver that does not answer must not keep the secret.
    async fn look_for_mas(&mut self) -> Result<(), ProvisioningError> {
        let accounts = &self.operation.accounts;
        if accounts.is_mas() {
            self.is_under_mas = true;
            return Ok(());
        }
        let metadata = self.operation.sessions.within(LOGIN_LIMIT).mas_metadata().await;
        let Ok(Some(metadata)) = metadata else { return Ok(()) };
        if self.options.deactivate {
            return Err(needs_mas_client(&metadata, "to deactivate accounts"));
        }
        self.is_under_mas = true;
        Ok(())
    }

    /// Whether the account can be changed without a session of its own. Synapse's administrators end
    /// no session at MAS.
    fn may_administer(&self) -> bool {
        let accounts = &self.operation.accounts;
        accounts.is_mas() || (accounts.is_administrator() && !self.is_under_mas)
    }

    /// Says what would be done.
    async fn plan(mut self) -> Pass {
        let Current { record, is_stored, .. } = self.operation.entry.rounds().next().await?;
        self.revoked.secret_removed = is_stored && !matches!(record, Record::Revoking(_));
        let is_ours = match &record {
            Record::Entry(_) => true,
            Record::Revoking(revocation) => revocation.had_secret,
            Record::Nothing | Record::Intent(_) | Record::Unusable(_) => false,
        };
        if self.may_administer() {
            let Some(found) = self.operation.accounts.look_up().await?.details else {
                self.warn_of_no_account();
                return Ok((self.revoked, None));
            };
            self.revoked.deactivated = found.is_deactivated || (self.options.deactivate && is_ours);
            if self.options.deactivate && !self.revoked.deactivated {
                self.warn_of_no_deactivation();
            }
            self.revoked.sessions_ended =
                self.revoked.deactivated || !is_ours || self.time_to_outlast().await?.is_zero();
        } else {
            match record.entry(&self.operation.account) {
                Ok(_) if self.is_under_mas => self.warn_of_sessions(NOT_OF_THE_MODULE),
                Ok(_) => {
                    self.revoked.sessions_ended = true;
                    self.revoked.deactivated = self.options.deactivate;
                    self.warn_of_remains();
                }
                Err(error) => self.warn_of_sessions(&error.message),
            }
        }
        Ok((self.revoked, None))
    }

    /// With the rights of an administrator.
    async fn by_administrator(mut self) -> Pass {
        let emptied = self.empty().await?;
        let Operation { entry, accounts, .. } = &self.operation;
        let Some(found) = accounts.look_up().await?.details else {
            entry.remove().await?;
            self.warn_of_no_account();
            return Ok((self.revoked, None));
        };
        let is_ours = emptied.as_ref().is_some_and(|emptied| emptied.revocation.had_secret);
        let deactivate = self.options.deactivate
            || emptied.as_ref().is_some_and(|emptied| emptied.revocation.wanted.deactivate);
        self.revoked.deactivated = found.is_deactivated;
        // For good, so only an account that is ours: a slip of the id, or an account of others for
        // which Vault holds an intent, must not be closed.
        if deactivate && is_ours && !found.is_deactivated {
            self.check_deactivation().await?;
            accounts.deactivate().await?;
            self.revoked.deactivated = true;
        } else if found.is_deactivated && accounts.is_mas() {
            // MAS says so before the sessions have ended.
            accounts.end_sessions().await?;
        }
        if self.revoked.deactivated {
            entry.remove().await?;
            self.revoked.sessions_ended = true;
            return Ok((self.revoked, None));
        }
        let mut left = None;
        if is_ours {
            let warnings = accounts.reset_credentials().await?;
            self.revoked.warnings.extend(warnings);
        }
        accounts.end_sessions().await?;
        if let Some(emptied) = emptied.filter(|_| is_ours) {
            left = self.time_left(&emptied).await?;
        }
        if deactivate {
            self.warn_of_no_deactivation();
        }
        let Operation { entry, accounts, .. } = &self.operation;
        if left.is_none() {
            // A login may have been under way when the secret went.
            accounts.end_sessions().await?;
            entry.remove().await?;
            self.revoked.sessions_ended = true;
        }
        Ok((self.revoked, left))
    }

    /// Synapse's own deactivation is not for accounts that MAS has, which would not learn of it.
    async fn check_deactivation(&self) -> Result<(), ProvisioningError> {
        if self.operation.accounts.is_mas() {
            return Ok(());
        }
        match self.operation.sessions.mas_metadata().await? {
            Some(metadata) => Err(needs_mas_client(&metadata, "to deactivate accounts")),
            None => Ok(()),
        }
    }

    /// Without an administrator it takes a session of the account's own.
    async fn by_owner(mut self) -> Pass {
        let Current { record, is_stored, .. } = self.operation.entry.rounds().next().await?;
        let secret = match record {
            Record::Entry(entry) => entry.login_secret,
            Record::Revoking(_) => {
                self.empty().await?;
                self.warn_of_sessions("an earlier call has removed the secret");
                return Ok((self.revoked, None));
            }
            record => {
                self.revoked.secret_removed = is_stored;
                if let Err(error) = record.entry(&self.operation.account) {
                    self.warn_of_sessions(&error.message);
                }
                self.operation.entry.remove().await?;
                return Ok((self.revoked, None));
            }
        };
        let session = self.log_in(&secret).await;
        if let Some(token) = &session
            && self.options.deactivate
        {
            // The homeserver asks for the secret once more.
            match self.operation.sessions.deactivate(&secret, token).await {
                Ok(()) => self.revoked.deactivated = true,
                Err(error) => self.warn_of_sessions(&error.message),
            }
        }
        let emptied = self.empty().await?;
        if self.revoked.deactivated {
            self.revoked.sessions_ended = true;
            self.operation.entry.remove().await?;
            return Ok((self.revoked, None));
        }
        let Some(token) = session else { return Ok((self.revoked, None)) };
        self.operation.sessions.log_out_everywhere(&token).await?;
        if self.options.deactivate {
            return Ok((self.revoked, None));
        }
        if self.is_under_mas {
            self.warn_of_sessions(NOT_OF_THE_MODULE);
            return Ok((self.revoked, None));
        }
        self.warn_of_remains();
        let left = match &emptied {
            Some(emptied) => self.time_left(emptied).await?,
            None => None,
        };
        if left.is_some() {
            // Nobody but an administrator can end them then.
            self.revoked.sessions_end_at = None;
            self.warn_of_sessions("others may still be opened for a while");
            return Ok((self.revoked, None));
        }
        self.operation.entry.remove().await?;
        self.revoked.sessions_ended = true;
        Ok((self.revoked, None))
    }

    /// Logs in while the secret is there. A login that is not let in must not keep the secret.
    async fn log_in(&mut self, secret: &SecretString) -> Option<AccessToken> {
        let sessions = self.operation.sessions.within(LOGIN_LIMIT);
        match sessions.log_in(secret, &LoginOptions::default(), Freshness::Old).await {
            Ok(session) => Some(session.access_token),
            Err(error) if error.errcode.as_deref() == Some("M_USER_DEACTIVATED") => {
                self.revoked.deactivated = true;
                None
            }
            Err(error) => {
                self.warn_of_sessions(&error.message);
                None
            }
        }
    }

    /// Takes the secret out of the entry; `None` if there is nothing in it.
    async fn empty(&mut self) -> Result<Option<Emptied>, ProvisioningError> {
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
    async fn time_left(
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
    async fn time_to_outlast(&self) -> Result<Duration, ProvisioningError> {
        let tokens = if self.operation.sessions.give_login_tokens().await? {
            LOGIN_TOKEN_LIFETIME
        } else {
            Duration::ZERO
        };
        let times = self.provisioner.config.login_times;
        let cached = times.map(|times| times.cache_ttl.max(times.stale_if_error));
        Ok(tokens.max(cached.unwrap_or_default()))
    }

    fn warn_of_no_account(&mut self) {
        let warning = format!("the homeserver has no account {}", self.operation.account.user_id);
        self.revoked.warnings.push(warning);
    }

    fn warn_of_no_deactivation(&mut self) {
        let account = &self.operation.account;
        self.revoked.warnings.push(format!(
            "{} was not deactivated: Vault held no secret at {}",
            account.user_id, account.path
        ));
    }

    /// Why sessions may go on.
    fn warn_of_sessions(&mut self, why: &str) {
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
    fn warn_of_remains(&mut self) {
        self.revoked.warnings.push(format!(
            "a password or an e-mail address that was set for {} by somebody else would remain: \
             an admin access token can remove them",
            self.operation.account.user_id
        ));
    }
}
