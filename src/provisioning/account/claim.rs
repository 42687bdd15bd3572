//! Makes sure that an account is there and that Vault has its secret, and that it is ours.
//!
//! No account is ever taken over, and none is left half-made in silence:
//! 1. An account that is there although Vault has no entry for it is somebody else's.
//! 2. The intent is written to Vault, and only by one of those who try. Who goes on from another
//!    one's writes it anew first, so that its writer finds out.
//! 3. The account is created. Only if it was not there before is it ours.
//! 4. The entry takes the intent's place, and the intent is destroyed.
//! 5. Only then is anything about the account changed, elsewhere.
//!
//! Who dies in between leaves an intent, and the next call goes on from there; whose an account is
//! that is there by then, [`ownership`](super::ownership) says.

use std::time::Duration;

use secrecy::SecretString;

use super::super::authority::{Created, Creation};
use super::super::error::ProvisioningError;
use super::super::login::Freshness;
use super::super::operation::{ClaimedAccount, Operation};
use super::super::provisioner::Provisioner;
use super::account_entry::{AccountEntry, Intent, Record};
use super::conflict::{
    check_begun, check_owner, contended, deactivated, not_ours, overtaken, undecided, unusable,
};
use super::creation_method::CreatedAs;
use super::ownership::Ownership;
use crate::homeserver::{Profile, Session};
use crate::random::new_secret;
use crate::vault::Written;

/// How often the entry is looked at anew because others write it as well.
const MOST_ROUNDS: u32 = 20;

/// How long is waited before that: a node of Vault's may be behind, and who has begun may be about
/// to finish.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(150);

/// What a round ends with: the account, or nothing because somebody else was faster.
type Round = Result<Option<ClaimedAccount>, ProvisioningError>;

/// An account that is ours, as it was created.
struct CreatedAccount {
    created_as: CreatedAs,
    profile: Profile,
    session: Option<Box<Session>>,
}

impl CreatedAccount {
    /// By this very call.
    fn by(call: &Operation<'_>, session: Option<Box<Session>>) -> Result<Self, ProvisioningError> {
        let created_as = call.attempt()?.makes();
        Ok(Self { created_as, profile: call.profile_at_creation(), session })
    }
}

impl Provisioner {
    /// Goes round until the account is ready, or is known not to be ours.
    pub(crate) async fn claim(
        &self,
        call: &Operation<'_>,
    ) -> Result<ClaimedAccount, ProvisioningError> {
        let Operation { request, account, patience, .. } = call;
        let _turn = self.account_locks.lock(&account.user_id).await;
        let given = request.external_id.as_deref();
        for round in 0..MOST_ROUNDS {
            if round > 0 {
                tokio::time::sleep(BETWEEN_ROUNDS.min(patience.left())).await;
            }
            let newest = self.read(patience, account).await?;
            let version = newest.version;
            let ready = match Record::of(newest) {
                // Another call may be at it: look twice before saying that it is not ours.
                Record::Nothing => self.begin(call, version, round > 0).await?,
                Record::Intent(_) if round == 0 => None,
                Record::Intent(intent) => {
                    check_owner(account, intent.external_id.as_deref(), given)?;
                    self.resume(call, intent, version).await?
                }
                Record::Entry(entry) => self.use_entry(call, &entry, version).await?,
                Record::Unusable(problem) => return Err(unusable(account, problem)),
            };
            if let Some(ready) = ready {
                return Ok(ready);
            }
        }
        Err(contended(account))
    }

    /// Vault has nothing: the account must not be there either.
    async fn begin(&self, call: &Operation<'_>, version: u32, is_sure: bool) -> Round {
        let Operation { request, account, authority, patience, .. } = call;
        let found = self.look_up(patience, &account.user_id, authority).await?;
        if found.is_deactivated() {
            return Err(deactivated(account));
        }
        if found.exists == Some(true) {
            return match (is_sure, request.adopt) {
                (false, _) => Ok(None),
                (true, false) => Err(not_ours(account)),
                (true, true) => self.adopt(call, &new_secret()?, version, &[]).await,
            };
        }
        let intent = Intent {
            login_secret: new_secret()?,
            password: new_secret()?,
            started: found.date,
            tries: vec![call.attempt()?],
            former: Vec::new(),
            external_id: request.external_id.clone(),
        };
        let written = self.write(patience, account, intent.fields(), version).await?;
        let Some(Written { version, .. }) = written else { return Ok(None) };
        let wanted = call.wanted();
        let new = call.new_account(&intent.password, &wanted);
        let Creation { outcome, may_have_applied } = self.create(patience, authority, &new).await;
        match outcome {
            Ok(Created::Ours(session)) => {
                let made = CreatedAccount::by(call, session)?;
                self.promote(call, &intent, version, made).await
            }
            // Perhaps it was an earlier try that created it.
            Ok(Created::AlreadyThere) if may_have_applied => Ok(None),
            Ok(Created::AlreadyThere) if request.adopt => {
                self.adopt(call, &intent.login_secret, version, &intent.versions(version)).await
            }
            Ok(Created::AlreadyThere) => {
                if self.give_up(call, &intent, version).await? {
                    return Err(not_ours(account));
                }
                Ok(None)
            }
            // A refusal is an answer: there is no account, and nothing to go on with. If this
            // fails, the next call finds the intent and tries again.
            Err(error) if error.is_final() && !may_have_applied => {
                let _ = self.give_up(call, &intent, version).await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Drops what was intended, unless somebody has gone on from it; whether nobody has.
    async fn give_up(
        &self,
        call: &Operation<'_>,
        intent: &Intent,
        version: u32,
    ) -> Result<bool, ProvisioningError> {
        let Operation { account, patience, .. } = call;
        let fields = Intent::given_up_fields();
        let Some(last) = self.write(patience, account, fields, version).await? else {
            return Ok(false);
        };
        let versions = [intent.versions(version), vec![last.version]].concat();
        self.destroy(patience, account, &versions).await?;
        Ok(true)
    }

    /// Somebody has begun: finish it, if the account is not another one's by now.
    async fn resume(&self, call: &Operation<'_>, intent: Intent, version: u32) -> Round {
        let Operation { request, account, authority, patience, .. } = call;
        let found = self.look_up(patience, &account.user_id, authority).await?;
        if found.is_deactivated() {
            return Err(deactivated(account));
        }
        let (mut intent, mut version) = (intent, version);
        if found.exists != Some(true) {
            intent = intent.tried_again(call.attempt()?, version);
            let written = self.write(patience, account, intent.fields(), version).await?;
            let Some(written) = written else { return Ok(None) };
            version = written.version;
            let wanted = call.wanted();
            let new = call.new_account(&intent.password, &wanted);
            if let Created::Ours(session) = self.create(patience, authority, &new).await.outcome? {
                return self
                    .promote(call, &intent, version, CreatedAccount::by(call, session)?)
                    .await;
            }
        }
        if request.adopt {
            let versions = intent.versions(version);
            return self.adopt(call, &intent.login_secret, version, &versions).await;
        }
        let why = match self.judge(patience, &account.user_id, &intent, authority).await? {
            Ownership::Ours { created_as, session } => {
                if let Err(error) = check_begun(account, created_as.as_ref(), &call.wanted()) {
                    self.end(session).await;
                    return Err(error);
                }
                let created_as = created_as.unwrap_or_default();
                let made = CreatedAccount { created_as, profile: found.profile, session };
                return self.promote(call, &intent, version, made).await;
            }
            Ownership::Undecided(why) => why,
        };
        // Another call may have finished the work meanwhile, and what was seen may be its work.
        if self.read(patience, account).await?.version != version {
            return Ok(None);
        }
        Err(undecided(account, &why))
    }

    /// Vault has a secret: the account is there, or is created for it.
    async fn use_entry(&self, call: &Operation<'_>, entry: &AccountEntry, version: u32) -> Round {
        let Operation { request, account, authority, patience, .. } = call;
        let given = request.external_id.as_deref();
        let new_owner = given.filter(|_| entry.external_id.is_none() && request.adopt);
        if new_owner.is_none() {
            check_owner(account, entry.external_id.as_deref(), given)?;
        }
        let found = self.look_up(patience, &account.user_id, authority).await?;
        if found.is_deactivated() {
            return Err(deactivated(account));
        }
        let mut ready = ClaimedAccount {
            login_secret: entry.login_secret.clone(),
            freshness: Freshness::Old,
            already_exists: true,
            created_as: entry.created_as.clone(),
            profile: found.profile,
            session: None,
        };
        if found.exists != Some(true) {
            let (password, wanted) = (new_secret()?, call.wanted());
            let new = call.new_account(&password, &wanted);
            let Creation { outcome, may_have_applied } =
                self.create(patience, authority, &new).await;
            match outcome? {
                Created::Ours(session) => {
                    let made = CreatedAccount::by(call, session)?;
                    ready.already_exists = false;
                    ready.created_as = Some(made.created_as);
                    ready.profile = made.profile;
                    ready.session = made.session;
                }
                Created::AlreadyThere
                    if found.exists == Some(false) && !may_have_applied && !request.adopt =>
                {
                    return Err(overtaken(account));
                }
                Created::AlreadyThere => {}
            }
        }
        let result = self.update_entry(call, entry, version, new_owner, &ready).await;
        if !matches!(result, Ok(true)) {
            self.end(ready.session).await;
            return result.map(|_| None);
        }
        Ok(Some(ready))
    }

    /// Keeps in an entry what has become of its account; whether nobody else has written meanwhile.
    async fn update_entry(
        &self,
        call: &Operation<'_>,
        entry: &AccountEntry,
        version: u32,
        new_owner: Option<&str>,
        ready: &ClaimedAccount,
    ) -> Result<bool, ProvisioningError> {
        let Operation { account, patience, .. } = call;
        let made = ready.created_as.clone().unwrap_or_default();
        let is_news = made != entry.created_as.clone().unwrap_or_default();
        if new_owner.is_some() || is_news {
            let fields = entry.with_owner(new_owner, ready.created_as.as_ref());
            if self.write(patience, account, fields, version).await?.is_none() {
                return Ok(false);
            }
        }
        self.forget_intent(patience, account, entry).await?;
        Ok(true)
    }

    /// Puts the entry in the intent's place.
    async fn promote(
        &self,
        call: &Operation<'_>,
        intent: &Intent,
        version: u32,
        made: CreatedAccount,
    ) -> Round {
        let Operation { account, patience, .. } = call;
        let fields = intent.entry_fields(version, &made.created_as);
        let result = match self.write(patience, account, fields, version).await {
            Ok(Some(_)) => {
                let versions = intent.versions(version);
                self.destroy(patience, account, &versions).await.map(|()| true)
            }
            other => other.map(|_| false),
        };
        if !matches!(result, Ok(true)) {
            self.end(made.session).await;
            return result.map(|_| None);
        }
        Ok(Some(ClaimedAccount {
            login_secret: intent.login_secret.clone(),
            freshness: Freshness::New,
            already_exists: false,
            created_as: Some(made.created_as),
            profile: made.profile,
            session: made.session,
        }))
    }

    /// Writes the entry of an account that others have created, and destroys what was intended.
    async fn adopt(
        &self,
        call: &Operation<'_>,
        secret: &SecretString,
        version: u32,
        intended: &[u32],
    ) -> Round {
        let Operation { request, account, patience, .. } = call;
        let fields = AccountEntry::adopted_fields(secret, request.external_id.as_deref(), intended);
        if self.write(patience, account, fields, version).await?.is_none() {
            return Ok(None);
        }
        self.destroy(patience, account, intended).await?;
        Ok(Some(ClaimedAccount {
            login_secret: secret.clone(),
            freshness: Freshness::New,
            already_exists: true,
            created_as: None,
            profile: Profile::default(),
            session: None,
        }))
    }
}
