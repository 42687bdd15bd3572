//! The verb: keeps a token of a user in Vault, and replaces it if that is due.

use std::time::{Duration, SystemTime};

use super::super::account::remote_account::RemoteAccount;
use super::super::error::{ErrorKind, ProvisioningError};
use super::super::operation::Operation;
use super::super::provisioner::Provisioner;
use super::kept_entry::KeptEntry;
use super::kept_store::{KeptStore, Seen};
use super::place::{self, Place};
use crate::homeserver::AccessToken;
use crate::retry::Deadline;
use crate::user_id::UserId;

/// How long the homeserver may take to say whether a token works.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// A token that is younger than this counts as the one that the interrupted run was to write.
const RECENT: Duration = Duration::from_secs(3600);

/// How often another run may be faster.
const MAX_ROUNDS: u32 = 5;

/// How to keep a token.
#[derive(Clone, Debug)]
pub struct KeepOptions {
    /// The path of the entry with its mount in front.
    pub keep_in: String,
    /// Replace the token if it ends within this time, and leave it otherwise. Replace it in any case
    /// if `None`.
    pub renew_before: Option<Duration>,
    /// The device of the first token; a new one by default. Later tokens have the same.
    pub device_id: Option<String>,
    /// What others see the device called.
    pub device_name: Option<String>,
    /// Where the program reaches the homeserver, if not where we do.
    pub homeserver_url: Option<String>,
    /// How long the token works, where Matrix Authentication Service opens the session.
    pub lifetime: Option<Duration>,
    /// How long the earlier token goes on working there.
    pub overlap: Duration,
}

/// A token that is kept in Vault. The token itself is there alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptToken {
    /// Whose token it is.
    pub matrix_user_id: String,
    /// The path of the entry with its mount in front.
    pub path: String,
    /// The version of the entry.
    pub version: u32,
    /// The device.
    pub device_id: Option<String>,
    /// Where the token works.
    pub homeserver_url: Option<String>,
    /// When the token ends, as of RFC 3339; `None` if nothing limits it.
    pub expires_at: Option<String>,
    /// The session at Matrix Authentication Service; `None` without it.
    pub session_id: Option<String>,
    /// Whether this call has opened the session.
    pub is_new: bool,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// One call of the verb.
pub(super) struct Keeper<'a> {
    pub operation: Operation<'a>,
    pub store: KeptStore<'a>,
    pub options: &'a KeepOptions,
    pub homeserver_url: String,
    /// How long tokens work that Matrix Authentication Service gives, unless the options say.
    pub default_lifetime: Option<Duration>,
    pub warnings: Vec<String>,
}

/// What is known of the token in an entry.
enum TokenState {
    Works,
    /// It has ended, or there is none.
    Ended,
    /// The homeserver did not say.
    Unknown,
}

impl Provisioner {
    /// Keeps a token of an account in an entry of its own in Vault, and replaces the one there if
    /// that is due. The device stays the same.
    ///
    /// # Errors
    /// When the path is not fit for it, Vault holds no secret to log in with, or a server refuses.
    pub async fn keep_token(
        &self,
        user_id: &str,
        options: &KeepOptions,
    ) -> Result<KeptToken, ProvisioningError> {
        if let Some(engine) = self.secrets_engine() {
            let problem = format!(
                "not with the secrets engine, which keeps a session for each user itself: read \
                 {}/static/LOCALPART/SERVER",
                engine.mount()
            );
            return Err(ProvisioningError::of_key("keep_in", problem));
        }
        let path = place::parse(&options.keep_in)?;
        let user_id = self.user_id(user_id)?;
        let deadline = self.deadline();
        let place = self.place_of(&path, deadline).await?;
        let mut keeper = self.keeper(&place, &user_id, options, deadline);
        let one_at_a_time = self.account_locks.lock(&user_id).await;
        let (mut seen, mut was_replaced) = keeper.store.read_settled().await?;
        drop(one_at_a_time);
        if seen.entry.earlier_session_id.is_some() {
            // What was begun is finished first, so that there are never more than two tokens.
            was_replaced |= seen.age().is_some_and(|age| age < RECENT);
            seen = self.finish(&mut keeper, &place, seen).await?;
        }
        let one_at_a_time = self.account_locks.lock(&user_id).await;
        let (mut seen, is_new) = keeper.keep(seen, was_replaced).await?;
        drop(one_at_a_time);
        if seen.entry.earlier_session_id.is_some() {
            seen = self.finish(&mut keeper, &place, seen).await?;
        }
        keeper.destroy_before(&seen).await;
        Ok(keeper.result(seen, is_new, &place))
    }

    /// Waits until the earlier session may end, and ends it, also that of a run that was at work
    /// meanwhile. The verb has as much time after that as it had before.
    async fn finish<'a>(
        &'a self,
        keeper: &mut Keeper<'a>,
        place: &'a Place,
        seen: Seen,
    ) -> Result<Seen, ProvisioningError> {
        let user_id = keeper.operation.account.user_id.clone();
        let mut seen = seen;
        for _ in 0..MAX_ROUNDS {
            tokio::time::sleep(keeper.overlap_left(&seen)).await;
            let warnings = std::mem::take(&mut keeper.warnings);
            let keeper_of = self.keeper(place, &user_id, keeper.options, self.deadline());
            *keeper = Keeper { warnings, ..keeper_of };
            seen = keeper.end_earlier(&seen).await?;
            if seen.entry.earlier_session_id.is_none() {
                break;
            }
            // Another run has replaced the token meanwhile, and waits itself.
        }
        Ok(seen)
    }

    fn keeper<'a>(
        &'a self,
        place: &'a Place,
        user_id: &UserId,
        options: &'a KeepOptions,
        deadline: Deadline,
    ) -> Keeper<'a> {
        Keeper {
            operation: self.operation_on(user_id.clone(), deadline),
            store: KeptStore::new(place, user_id, deadline),
            options,
            homeserver_url: options.homeserver_url.clone().unwrap_or_else(|| self.homeserver_url()),
            default_lifetime: self.config.mas_session_lifetime,
            warnings: Vec::new(),
        }
    }
}

impl Keeper<'_> {
    /// Replaces the token if that is due. Also tells whether it was.
    async fn keep(
        &mut self,
        mut seen: Seen,
        mut was_replaced: bool,
    ) -> Result<(Seen, bool), ProvisioningError> {
        for _ in 0..MAX_ROUNDS {
            self.check_device(&seen.entry)?;
            let state = self.token_state(&seen.entry).await;
            if !self.is_due(&seen, &state, was_replaced) {
                return Ok((seen, false));
            }
            let works = !matches!(state, TokenState::Ended);
            if let Some(next) = self.replace(seen, works).await? {
                self.destroy_before(&next).await;
                return Ok((next, true));
            }
            // Another run was faster. What it has kept is as new as what was wanted.
            (seen, was_replaced) = (self.store.read_settled().await?.0, true);
        }
        let path = &self.options.keep_in;
        let message = format!("{path} changes all the time: others write it too");
        Err(ProvisioningError::new(ErrorKind::Conflict, message))
    }

    /// Refuses another device than that of the tokens before.
    fn check_device(&self, entry: &KeptEntry) -> Result<(), ProvisioningError> {
        match (&entry.device_id, &self.options.device_id) {
            (Some(kept), Some(wanted)) if kept != wanted => Err(ProvisioningError::of_key(
                "device_id",
                format!("{} keeps a token of the device {kept}", self.options.keep_in),
            )
            .advise("leave the device out, or keep the other device's token at another path")),
            _ => Ok(()),
        }
    }

    async fn token_state(&mut self, entry: &KeptEntry) -> TokenState {
        let Some(token) = &entry.access_token else { return TokenState::Ended };
        let Ok(token) = AccessToken::parse(token) else { return TokenState::Ended };
        let remote = &self.operation.remote;
        let limit = LOOK_LIMIT.min(remote.deadline.left());
        let remote = RemoteAccount { deadline: Deadline::after(limit), ..remote.clone() };
        let action = "see whether the kept token works";
        match remote.retry(action, || remote.homeserver.who_am_i(&token)).await {
            Ok(_) => TokenState::Works,
            Err(error) if error.errcode.as_deref() == Some("M_UNKNOWN_TOKEN") => TokenState::Ended,
            Err(error) => {
                self.warnings.push(error.message);
                TokenState::Unknown
            }
        }
    }

    /// Whether the token has to be replaced.
    fn is_due(&self, seen: &Seen, state: &TokenState, was_replaced: bool) -> bool {
        if matches!(state, TokenState::Ended) || seen.entry.renewal.is_some() {
            return true;
        }
        match (self.options.renew_before, seen.entry.end()) {
            (None, _) => !was_replaced,
            (Some(_), None) => false,
            (Some(before), Some(end)) => ends_within(end, before, seen.now),
        }
    }

    /// Destroys the versions with earlier tokens. The new token does not depend on it.
    async fn destroy_before(&mut self, seen: &Seen) {
        if let Err(error) = self.store.destroy_before(seen.version).await {
            let message = format!("earlier versions hold earlier tokens: {}", error.message);
            self.warnings.push(message);
        }
    }

    fn result(self, seen: Seen, is_new: bool, place: &Place) -> KeptToken {
        let Self { mut warnings, options, operation, .. } = self;
        if let Some(time) = seen.deletion_time {
            warnings.push(format!(
                "Vault deletes {} at {time}, as its delete_version_after says: programs find no \
                 token there after that",
                place.path
            ));
        }
        if let (Some(before), Some(end), true) = (options.renew_before, seen.entry.end(), is_new)
            && ends_within(end, before, seen.now)
        {
            warnings.push(
                "the homeserver gives tokens that end sooner than the time given to renew them \
                 before: each run replaces the token"
                    .to_owned(),
            );
        }
        KeptToken {
            matrix_user_id: operation.account.user_id.to_string(),
            path: place.path.clone(),
            version: seen.version,
            device_id: seen.entry.device_id,
            homeserver_url: seen.entry.homeserver_url,
            expires_at: seen.entry.expires_at,
            session_id: seen.entry.session_id,
            is_new,
            warnings,
        }
    }
}

fn ends_within(end: SystemTime, time: Duration, now: SystemTime) -> bool {
    end.duration_since(now).map_or(true, |left| left <= time)
}
