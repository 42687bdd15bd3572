//! Makes sure that an account exists, that Vault has its secret, and that the account is ours.
//!
//! No account is taken over, and none is left half-made without a trace:
//! 1. If the account exists and Vault has no entry for it, it is somebody else's.
//! 2. The intent is written to Vault by check-and-set, so only one of several calls writes it. A
//!    call that goes on from another call's intent first writes the intent again: the next write of
//!    the other call then fails, and it learns that it was overtaken.
//! 3. The account is created. It is ours only if it did not exist before.
//! 4. The entry takes the place of the intent, and the intent is destroyed.
//! 5. Only then is anything about the account changed elsewhere.
//!
//! A call that crashes in between leaves an intent, and the next call goes on from there. If the
//! account exists by then, [`ownership`](super::ownership) decides whose it is.

use std::time::SystemTime;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::super::authority::{AccountLookup, Authority, Created, Creation, LeftOver, NewAccount};
use super::super::error::ProvisioningError;
use super::account_entry::{AccountEntry, Intent, Record};
use super::account_id::AccountId;
use super::conflict::{
    check_begun, check_owner, deactivated, not_ours, overtaken, revoking, undecided, unusable,
    will_be_deleted, without_profile,
};
use super::creation_method::{CreatedAs, CreationAttempt};
use super::creation_time;
use super::entry_store::{Current, EntryStore};
use super::ownership::{Ownership, is_left_over};
use super::provision_request::ProvisionRequest;
use super::sessions::{Freshness, Sessions};
use crate::homeserver::{Profile, Session};
use crate::random::new_secret;

/// One call that wants an account.
pub struct Claim<'a> {
    account: &'a AccountId,
    entry: &'a EntryStore<'a>,
    accounts: &'a Authority<'a>,
    sessions: &'a Sessions<'a>,
    request: &'a ProvisionRequest,
    /// Whether a registration is to log in, because there is no other way to a token.
    with_session: bool,
    /// A session that this round has opened.
    session: Option<Box<Session>>,
    /// What the caller should know.
    warnings: Vec<String>,
}

/// An account whose entry is in place.
pub struct ClaimedAccount {
    /// The secret to log in with.
    pub login_secret: SecretString,
    /// Whether the secret was written by this call.
    pub freshness: Freshness,
    /// Whether the account existed before.
    pub already_exists: bool,
    /// What it was created as; `None` if others created it.
    pub created_as: Option<CreatedAs>,
    /// What others are known to see of it.
    pub profile: Profile,
    /// A session that came with the creation, or that proved whose the account is.
    pub session: Option<Box<Session>>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// An account that this call, or an earlier one, has created.
struct CreatedAccount {
    created_as: CreatedAs,
    creation_ts: Option<u64>,
    profile: Profile,
}

/// What one round comes to.
enum Step {
    /// The account is ours, and its entry is in place.
    Claimed(ClaimedAccount),
    /// The entry has to be read again: another call was faster, or may be.
    Again,
}

/// How a round ends.
type Round = Result<Step, ProvisioningError>;

impl<'a> Claim<'a> {
    /// Prepares a claim.
    pub fn new(
        account: &'a AccountId,
        entry: &'a EntryStore<'a>,
        accounts: &'a Authority<'a>,
        sessions: &'a Sessions<'a>,
        request: &'a ProvisionRequest,
        with_session: bool,
    ) -> Self {
        Self {
            account,
            entry,
            accounts,
            sessions,
            request,
            with_session,
            session: None,
            warnings: Vec::new(),
        }
    }

    /// Goes on, round by round, until the account is claimed or is known not to be ours.
    ///
    /// # Errors
    /// A conflict for an account that is somebody else's, and what either server has against it.
    pub async fn run(mut self) -> Result<ClaimedAccount, ProvisioningError> {
        let mut rounds = self.entry.rounds();
        loop {
            let current = rounds.next().await?;
            let round = self.round(current).await;
            if let Ok(Step::Claimed(claimed)) = round {
                let Self { session, warnings, .. } = self;
                return Ok(ClaimedAccount { session, warnings, ..claimed });
            }
            // A round without an account has no use for its session.
            self.sessions.end(self.session.take()).await;
            self.warnings.clear();
            round?;
        }
    }

    async fn round(&mut self, current: Current) -> Round {
        let Current { version, record, written, is_first, .. } = current;
        match record {
            Record::Nothing => self.begin(version, is_first).await,
            // The call that wrote it may be about to finish.
            Record::Intent(_) if is_first => Ok(Step::Again),
            Record::Intent(intent) => self.resume(intent, version).await,
            Record::Entry(entry) => self.use_entry(&entry, version, written).await,
            Record::Revoking(_) => Err(revoking(self.account)),
            Record::Unusable(problem) => Err(unusable(self.account, problem)),
        }
    }

    /// Vault has nothing: the account must not exist either.
    async fn begin(&mut self, version: u32, is_first: bool) -> Round {
        let found = self.look_up().await?;
        if found.exists == Some(true) {
            if is_first {
                // Another call may just have created it: look again before saying so.
                return Ok(Step::Again);
            }
            if !self.request.adopt {
                return Err(not_ours(self.account, version));
            }
            return self.adopt(&new_secret()?, version, &[]).await;
        }
        let intent = Intent {
            login_secret: new_secret()?,
            password: new_secret()?,
            started: found.date,
            was_free_at_homeserver: found.is_at_homeserver == Some(false),
            attempts: vec![self.attempt()],
            earlier_versions: Vec::new(),
            external_id: self.request.external_id.clone(),
        };
        let Some(written) = self.entry.write(intent.fields(), version).await? else {
            return Ok(Step::Again);
        };
        let version = written.version;
        let left_over = left_over_of_this_call(&found);
        let (outcome, may_have_applied) = self.create(&intent.password, left_over).await;
        match outcome {
            Ok(Created::Ours { profile, creation_ts }) => {
                let created_as = self.attempt().result();
                let created = CreatedAccount { created_as, creation_ts, profile };
                self.promote(&intent, version, created).await
            }
            // A request of ours may have created it, and its answer was lost.
            Ok(Created::AlreadyThere) if may_have_applied => Ok(Step::Again),
            Ok(Created::AlreadyThere) if self.request.adopt => {
                self.adopt(&intent.login_secret, version, &intent.versions(version)).await
            }
            Ok(Created::AlreadyThere) => {
                if self.give_up(&intent, version).await? {
                    return Err(not_ours(self.account, 0));
                }
                Ok(Step::Again)
            }
            // A refusal is an answer: there is no account, and nothing to go on with. If giving up
            // fails, the next call finds the intent and tries again.
            Err(error) if error.is_final() && !may_have_applied => {
                let _ = self.give_up(&intent, version).await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Drops an intent, unless another call has gone on from it; returns whether none has.
    async fn give_up(&self, intent: &Intent, version: u32) -> Result<bool, ProvisioningError> {
        let Some(last) = self.entry.write(Intent::given_up_fields(), version).await? else {
            return Ok(false);
        };
        let versions = [intent.versions(version), vec![last.version]].concat();
        self.entry.destroy(&versions).await?;
        Ok(true)
    }

    /// Another call has begun: finish its work, unless the account is somebody else's by now.
    async fn resume(&mut self, mut intent: Intent, mut version: u32) -> Round {
        let external_id = self.request.external_id.as_deref();
        check_owner(self.account, intent.external_id.as_deref(), external_id)?;
        let found = self.look_up().await?;
        if found.exists != Some(true) {
            let left_over = if is_left_over(&intent, &found) {
                LeftOver::OfEarlierCall
            } else {
                left_over_of_this_call(&found)
            };
            intent = intent.with_attempt(self.attempt(), version);
            let is_free = found.is_at_homeserver == Some(false);
            if self.accounts.is_mas() && (is_free || left_over == LeftOver::Never) {
                // Whose the account is depends on when the name was last free.
                intent.started = found.date;
                intent.was_free_at_homeserver = is_free;
            }
            let Some(written) = self.entry.write(intent.fields(), version).await? else {
                return Ok(Step::Again);
            };
            version = written.version;
            let (outcome, _) = self.create(&intent.password, left_over).await;
            let created = match outcome {
                // It may be ours: nothing shows whose it is.
                Err(error) if found.is_at_homeserver == Some(true) && error.status == Some(409) => {
                    return Err(undecided(self.account, &error.message));
                }
                outcome => outcome?,
            };
            if let Created::Ours { profile, creation_ts } = created {
                let created_as = self.attempt().result();
                let created = CreatedAccount { created_as, creation_ts, profile };
                return self.promote(&intent, version, created).await;
            }
        }
        if self.request.adopt {
            let versions = intent.versions(version);
            return self.adopt(&intent.login_secret, version, &versions).await;
        }
        let why = match Ownership::of(&intent, self.accounts, self.sessions).await? {
            Ownership::Ours { created_as, session } => {
                self.session = session;
                check_begun(self.account, created_as.as_ref(), &self.request.wanted())?;
                let created_as = created_as.unwrap_or_default();
                let creation_ts = found.creation_ts();
                let created = CreatedAccount { created_as, creation_ts, profile: found.profile };
                return self.promote(&intent, version, created).await;
            }
            Ownership::Undecided(why) => why,
        };
        // Another call may have finished the work meanwhile, and may have left what was found.
        if self.entry.read().await?.version != version {
            return Ok(Step::Again);
        }
        Err(undecided(self.account, &why))
    }

    /// Vault has a secret: the account exists, or is created for it.
    async fn use_entry(
        &mut self,
        entry: &AccountEntry,
        version: u32,
        written: Option<SystemTime>,
    ) -> Round {
        let external_id = self.request.external_id.as_deref();
        let new_owner = external_id.filter(|_| entry.external_id.is_none() && self.request.adopt);
        if new_owner.is_none() {
            check_owner(self.account, entry.external_id.as_deref(), external_id)?;
        }
        let found = self.look_up().await?;
        let mut claimed = ClaimedAccount {
            login_secret: entry.login_secret.clone(),
            freshness: Freshness::Old,
            already_exists: true,
            created_as: entry.created_as.clone(),
            profile: found.profile.clone(),
            session: None,
            warnings: Vec::new(),
        };
        let created =
            if found.exists == Some(true) { None } else { self.create_for_entry(&found).await? };
        let is_created = created.is_some();
        let (creation_ts, is_changed) = if let Some(created) = created {
            claimed.already_exists = false;
            claimed.created_as = Some(created.created_as);
            claimed.profile = created.profile;
            (created.creation_ts, false)
        } else {
            let (kept, adopt) = (entry.creation_ts, self.request.adopt);
            let check =
                creation_time::check(self.account, kept, found.creation_ts(), written, adopt)?;
            self.warnings.extend(check.warning);
            (check.creation_ts, check.is_changed)
        };
        // An account that was just created is younger than its entry, unless that is written again.
        if new_owner.is_some() || is_created || is_changed {
            let fields = entry.with_owner(new_owner, claimed.created_as.as_ref(), creation_ts);
            if !self.write_entry(fields, version).await? {
                return Ok(Step::Again);
            }
        }
        self.entry.destroy_intents(entry).await?;
        Ok(Step::Claimed(claimed))
    }

    /// Creates the account for an entry, if it is not there.
    async fn create_for_entry(
        &mut self,
        found: &AccountLookup,
    ) -> Result<Option<CreatedAccount>, ProvisioningError> {
        let left_over = left_over_of_this_call(found);
        let (outcome, may_have_applied) = self.create(&new_secret()?, left_over).await;
        match outcome? {
            Created::Ours { profile, creation_ts } => {
                let created_as = self.attempt().result();
                Ok(Some(CreatedAccount { created_as, creation_ts, profile }))
            }
            Created::AlreadyThere
                if found.exists == Some(false) && !may_have_applied && !self.request.adopt =>
            {
                // The homeserver shows no profile of some accounts that it has.
                let has_appeared = self.look_up().await?.exists != Some(false);
                Err(if has_appeared {
                    overtaken(self.account)
                } else {
                    without_profile(self.account)
                })
            }
            Created::AlreadyThere => Ok(None),
        }
    }

    /// Puts the entry in the place of the intent.
    async fn promote(&mut self, intent: &Intent, version: u32, created: CreatedAccount) -> Round {
        let CreatedAccount { created_as, creation_ts, profile } = created;
        let fields = intent.entry_fields(version, &created_as, creation_ts);
        if !self.write_entry(fields, version).await? {
            return Ok(Step::Again);
        }
        self.entry.destroy(&intent.versions(version)).await?;
        Ok(Step::Claimed(ClaimedAccount {
            login_secret: intent.login_secret.clone(),
            freshness: Freshness::New,
            already_exists: false,
            created_as: Some(created_as),
            profile,
            session: None,
            warnings: Vec::new(),
        }))
    }

    /// Writes the entry of an account that others created, and destroys the intent if there is one.
    async fn adopt(
        &mut self,
        secret: &SecretString,
        version: u32,
        intent_versions: &[u32],
    ) -> Round {
        let external_id = self.request.external_id.as_deref();
        let creation_ts = self.look_up().await?.creation_ts();
        let fields =
            AccountEntry::adopted_fields(secret, external_id, intent_versions, creation_ts);
        if !self.write_entry(fields, version).await? {
            return Ok(Step::Again);
        }
        self.entry.destroy(intent_versions).await?;
        Ok(Step::Claimed(ClaimedAccount {
            login_secret: secret.clone(),
            freshness: Freshness::New,
            already_exists: true,
            created_as: None,
            profile: Profile::default(),
            session: None,
            warnings: Vec::new(),
        }))
    }

    /// Writes the version of the entry that follows `after`; returns whether no other call has
    /// written one since.
    async fn write_entry(
        &mut self,
        fields: Map<String, Value>,
        after: u32,
    ) -> Result<bool, ProvisioningError> {
        let Some(written) = self.entry.write(fields, after).await? else { return Ok(false) };
        if let Some(time) = written.deletion_time {
            self.warn(will_be_deleted(&self.account.path, &time));
        }
        Ok(true)
    }

    /// Asks the homeserver about the account.
    ///
    /// # Errors
    /// When it is deactivated, and what kept the homeserver from answering.
    async fn look_up(&mut self) -> Result<AccountLookup, ProvisioningError> {
        let found = self.accounts.look_up().await?;
        if let Some(details) = &found.details {
            let user_id = &self.account.user_id;
            if details.is_deactivated {
                let place = self.accounts.place();
                return Err(deactivated(self.account, details.is_erased, place));
            }
            if details.is_locked {
                self.warn(format!("{user_id} is locked: nobody can use it until it is unlocked"));
            }
            if details.is_suspended {
                self.warn(format!("{user_id} is suspended: it can read, and do little else"));
            }
        }
        Ok(found)
    }

    /// Says something once.
    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Creates the account if it is not there, and keeps the session that comes with it. Returns
    /// also whether the account may be ours although the outcome does not say so.
    async fn create(
        &mut self,
        password: &SecretString,
        left_over: LeftOver,
    ) -> (Result<Created, ProvisioningError>, bool) {
        let new = NewAccount {
            password,
            created_as: &self.request.wanted(),
            display_name: self.request.display_name.as_deref(),
            avatar_url: self.request.avatar.as_deref().filter(|uri| uri.starts_with("mxc://")),
            with_session: self.with_session,
            adopt: self.request.adopt,
            left_over,
        };
        let Creation { outcome, session, may_have_applied } = self.accounts.create(&new).await;
        self.session = session;
        (outcome, may_have_applied)
    }

    /// How this call tries to create the account.
    fn attempt(&self) -> CreationAttempt {
        let method = self.accounts.creation_method();
        CreationAttempt { method, wanted: self.request.wanted() }
    }
}

/// What a creation of this call may leave at the homeserver, if that had nothing just before.
fn left_over_of_this_call(found: &AccountLookup) -> LeftOver {
    if found.is_at_homeserver == Some(false) { LeftOver::OfThisCall } else { LeftOver::Never }
}
