//! The admin API of Matrix Authentication Service (MAS), by a client that may use it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;

use super::super::account::account_entry::Intent;
use super::super::account::attributes::Attributes;
use super::super::account::creation_method::{CreatedAs, CreationMethod};
use super::super::account::creation_time::is_of_the_same_minute;
use super::super::account::mas_account::MasAccount;
use super::super::error::{ErrorKind, ProvisioningError};
use super::creation::{Created, Creation, Evidence, LeftOver, NewAccount};
use super::lookup::{AccountDetails, AccountLookup};
use crate::homeserver::mas::{MasError, NewUser, Trace, User};
use crate::homeserver::{Profile, PublicProfile};
use crate::random::new_secret;
use crate::retry::Backoff;

/// How long after a look an account at the homeserver is taken for what a lost answer has left.
const LONGEST_TIME_TO_LOSE: Duration = Duration::from_secs(60);

/// Longest display name that an account is created with, in characters. Synapse takes no longer ones
/// later, and says so.
const LONGEST_NAME: usize = 256;

/// The waits until the homeserver is asked again whether it knows an account.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// One account, by MAS' admin API.
pub struct Mas<'a> {
    mas: MasAccount<'a>,
}

/// What MAS says to an account that is to be created.
enum Answer {
    /// It was not there before.
    Created(Box<User>),
    /// Somebody has the name, or it is kept back. The words say which.
    NotFree(String),
}

impl<'a> Mas<'a> {
    pub fn new(mas: MasAccount<'a>) -> Self {
        Self { mas }
    }

    pub async fn check(&self) -> Result<(), ProvisioningError> {
        self.mas.client().await.map(drop)
    }

    pub async fn look_up(&self) -> Result<AccountLookup, ProvisioningError> {
        let answer = self.mas.look_up().await?;
        let is_at_mas = answer.value.is_some();
        let (is_at_homeserver, profile) = match self.public_profile().await? {
            PublicProfile::Profile(profile) => (Some(true), profile),
            PublicProfile::Nothing => (Some(false), Profile::default()),
            PublicProfile::Undisclosed => (None, Profile::default()),
        };
        Ok(AccountLookup {
            exists: Some(is_at_mas),
            date: answer.date,
            profile,
            details: answer.value.as_ref().map(details_of),
            is_at_homeserver: is_at_homeserver.filter(|_| !is_at_mas),
        })
    }

    pub async fn create(&self, new: &NewAccount<'_>) -> Creation {
        let may_have_applied = AtomicBool::new(false);
        let outcome = self.try_to_create(new, &may_have_applied).await;
        Creation { outcome, session: None, may_have_applied: may_have_applied.into_inner() }
    }

    async fn try_to_create(
        &self,
        new: &NewAccount<'_>,
        may_have_applied: &AtomicBool,
    ) -> Result<Created, ProvisioningError> {
        let began = Instant::now();
        let user = NewUser {
            username: self.localpart(),
            display_name: new
                .display_name
                .filter(|name| (1..=LONGEST_NAME).contains(&name.chars().count())),
            avatar_url: new.avatar_url,
            skip_homeserver_check: false,
        };
        let words = match self.post(&user, may_have_applied).await? {
            Answer::Created(created) => {
                // Whatever goes wrong from here on, there is an account.
                may_have_applied.store(true, Ordering::Relaxed);
                return Ok(Created::Ours {
                    profile: self.profile_once_known().await?,
                    creation_ts: Some(seconds(&created)),
                });
            }
            Answer::NotFree(words) => words,
        };
        if self.mas.look_up().await?.value.is_some() {
            return Ok(Created::AlreadyThere);
        }
        if words.contains("exists") {
            return Err(self.other_case(&words));
        }
        let is_known = !matches!(self.public_profile().await?, PublicProfile::Nothing);
        let is_ours = match new.left_over {
            LeftOver::Never => false,
            LeftOver::OfThisCall => {
                may_have_applied.load(Ordering::Relaxed) && began.elapsed() < LONGEST_TIME_TO_LOSE
            }
            LeftOver::OfEarlierCall => true,
        };
        if !is_known || !(is_ours || new.adopt) {
            return Err(self.reserved(&words, is_known));
        }
        // The homeserver has the account and MAS has not: with it there, it can be used.
        let user = NewUser { skip_homeserver_check: true, ..user };
        match self.post(&user, may_have_applied).await? {
            Answer::Created(created) if is_ours => Ok(Created::Ours {
                profile: self.profile_once_known().await?,
                creation_ts: Some(seconds(&created)),
            }),
            Answer::Created(_) => Ok(Created::AlreadyThere),
            // This answer may have got lost as well, and then it is there now.
            Answer::NotFree(words) => match self.mas.look_up().await?.value {
                Some(_) => Ok(Created::AlreadyThere),
                None => Err(self.reserved(&words, is_known)),
            },
        }
    }

    async fn post(
        &self,
        user: &NewUser<'_>,
        may_have_applied: &AtomicBool,
    ) -> Result<Answer, ProvisioningError> {
        let client = self.mas.client().await?;
        let create = async || {
            let result = client.create_user(user).await;
            if result.as_ref().is_err_and(MasError::may_have_applied) {
                may_have_applied.store(true, Ordering::Relaxed);
            }
            match result {
                Ok(user) => Ok(Answer::Created(Box::new(user))),
                Err(error) if error.status() == Some(409) => {
                    Ok(Answer::NotFree(error.message().to_owned()))
                }
                Err(error) => Err(error),
            }
        };
        let created = self.mas.retry(&format!("create {}", self.id()), create).await;
        created.map_err(explain)
    }

    /// What others see of an account that was just created, once the homeserver knows it.
    async fn profile_once_known(&self) -> Result<Profile, ProvisioningError> {
        let mut backoff = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT);
        loop {
            match self.public_profile().await? {
                PublicProfile::Profile(profile) => return Ok(profile),
                // Whether it knows the account, the first login shows.
                PublicProfile::Undisclosed => return Ok(Profile::default()),
                PublicProfile::Nothing => {}
            }
            let wait = backoff.next_wait();
            if wait >= self.mas.account.deadline.left() {
                let message = format!(
                    "Matrix Authentication Service has created {}, and the homeserver does not \
                     know it yet",
                    self.id()
                );
                return Err(ProvisioningError::new(ErrorKind::Unreachable, message).advise(
                    "check that Matrix Authentication Service reaches the homeserver \
                     (`mas-cli doctor`), and call again",
                ));
            }
            sleep(wait).await;
        }
    }

    async fn public_profile(&self) -> Result<PublicProfile, ProvisioningError> {
        let homeserver = self.mas.account.homeserver;
        let action = format!("see the profile of {}", self.id());
        Ok(self.mas.account.retry(&action, || homeserver.profile(self.id())).await?.value)
    }

    /// What shows that an account was created by others. There is no proof that it is ours: it is
    /// taken for that if MAS had none of its name just before, and nobody has used it.
    pub async fn evidence(&self, intent: &Intent) -> Result<Evidence, ProvisioningError> {
        let Some(user) = self.mas.look_up().await?.value else {
            return Ok(Evidence::Of("it has vanished meanwhile".to_owned()));
        };
        if let Some(evidence) = evidence_in_user(&user, intent) {
            return Ok(Evidence::Of(evidence.to_owned()));
        }
        let trace = self.mas.first_trace(&user).await?;
        Ok(trace.map_or(Evidence::None, |trace| Evidence::Of(in_words(trace).to_owned())))
    }

    /// Sets what MAS itself has of an account, and takes it out of what is left to set.
    pub async fn set(&self, attributes: &mut Attributes<'_>) -> Result<(), ProvisioningError> {
        if attributes.user_type.is_some() {
            return Err(no_user_types());
        }
        if attributes.is_admin {
            let (client, user) = (self.mas.client().await?, self.mas.existing().await?);
            if !user.is_admin {
                let action = format!("make {} an administrator", self.id());
                self.mas.retry(&action, || client.set_admin(&user.id, true)).await?;
            }
            attributes.is_admin = false;
        }
        Ok(())
    }

    /// Takes away what else lets somebody in whom the account does not belong to: the password,
    /// addresses by which it can be reset, and users of identity providers.
    pub async fn reset_credentials(&self) -> Result<(), ProvisioningError> {
        let (client, user) = (self.mas.client().await?, self.mas.existing().await?);
        if self.mas.access.has_passwords() != Some(false) {
            let password = new_secret()?;
            let action = format!("reset the password of {}", self.id());
            let reset = || client.set_password(&user.id, &password, true);
            match self.mas.retry(&action, reset).await {
                // Where MAS takes no passwords nobody can log in with one.
                Err(error) if error.status == Some(403) => {}
                result => result?,
            }
        }
        let action = format!("remove the addresses of {}", self.id());
        self.mas.retry(&action, || client.remove_identifiers(&user.id)).await
    }

    pub async fn end_sessions(&self) -> Result<(), ProvisioningError> {
        self.mas.end_sessions(&self.mas.existing().await?, None).await
    }

    /// Closes the account. MAS answers before its sessions have ended, so they are ended here.
    pub async fn deactivate(&self) -> Result<(), ProvisioningError> {
        let (client, user) = (self.mas.client().await?, self.mas.existing().await?);
        let action = format!("deactivate {}", self.id());
        self.mas.retry(&action, || client.deactivate_user(&user.id, true)).await?;
        self.mas.end_sessions(&user, None).await
    }

    fn id(&self) -> &str {
        self.mas.account.id()
    }

    fn localpart(&self) -> &str {
        self.mas.account.user_id.localpart()
    }

    /// MAS ignores case, and the name is taken in another one.
    fn other_case(&self, words: &str) -> ProvisioningError {
        not_free(format!(
            "the name of {} is taken at Matrix Authentication Service, by an account whose name \
             differs in upper and lower case ({words})",
            self.id()
        ))
        .advise("choose another id")
    }

    /// The homeserver does not give the name to MAS.
    fn reserved(&self, words: &str, is_known: bool) -> ProvisioningError {
        if is_known {
            return not_free(format!(
                "the homeserver has the account {} and Matrix Authentication Service has not: it \
                     was not moved there, or others created it, or MAS was interrupted ({words})",
                self.id()
            ))
            .advise(
                "choose another id; or if the account is yours, call again with adopt, which \
                     makes it known to Matrix Authentication Service",
            );
        }
        not_free(format!(
            "the homeserver keeps the name of {} back: it is of digits alone, or an application \
             service's ({words})",
            self.id()
        ))
        .advise("choose another id")
    }
}

/// What to do about a refused creation.
fn explain(error: ProvisioningError) -> ProvisioningError {
    if error.status != Some(400) {
        return error;
    }
    let status = error.status;
    ProvisioningError { status, ..ProvisioningError::of_key("user_id", error.message) }
        .advise("choose another id: a name must not begin with an underscore, or be too long")
}

/// What MAS answers with 409.
fn not_free(message: String) -> ProvisioningError {
    ProvisioningError { status: Some(409), ..ProvisioningError::new(ErrorKind::Conflict, message) }
}

/// What has to be set of an account that was created as `created_as`.
pub fn left_to_set<'t>(
    attributes: Attributes<'t>,
    created_as: Option<&CreatedAs>,
) -> Result<Attributes<'t>, ProvisioningError> {
    let kept = created_as.and_then(|created_as| created_as.user_type.as_deref());
    if attributes.user_type.is_some() && attributes.user_type != kept {
        return Err(no_user_types());
    }
    Ok(Attributes { user_type: None, ..attributes })
}

/// MAS has no types of users.
pub fn no_user_types() -> ProvisioningError {
    ProvisioningError::of_key(
        "user_type",
        "must be left out: Matrix Authentication Service creates accounts without a type",
    )
}

fn evidence_in_user(user: &User, intent: &Intent) -> Option<&'static str> {
    if !intent.was_attempted_by(CreationMethod::Mas) {
        return Some("the work on it was begun before Matrix Authentication Service was there");
    }
    let Some(started) = intent.started else {
        return Some("Matrix Authentication Service did not say when the work on it was begun");
    };
    if !is_of_the_same_minute(started, seconds(user)) {
        Some("it was not created within a minute of the work on it")
    } else if user.is_deactivated {
        Some("it is deactivated")
    } else if user.is_locked {
        Some("it is locked")
    } else if user.is_admin {
        Some("somebody has made it an administrator")
    } else {
        None
    }
}

fn in_words(trace: Trace) -> &'static str {
    match trace {
        Trace::UserSession => "somebody has signed in to it in a browser",
        Trace::CompatSession | Trace::OAuth2Session => "a client has logged in to it",
        Trace::PersonalSession => "an administrator has opened a session of it",
        Trace::Email => "it has an e-mail address",
        Trace::UpstreamLink => "it belongs to a user of an identity provider",
    }
}

fn details_of(user: &User) -> AccountDetails {
    AccountDetails {
        creation_ts: seconds(user),
        is_deactivated: user.is_deactivated,
        is_erased: false,
        is_locked: user.is_locked,
        is_suspended: false,
    }
}

/// When an account was created, in whole seconds since 1970, as Synapse keeps it.
fn seconds(user: &User) -> u64 {
    let since = user.created_at.time().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::super::super::account::creation_method::CreationAttempt;
    use super::*;
    use crate::homeserver::mas::{Timestamp, Ulid};

    const STARTED: u64 = 1_700_000_000;

    fn intent(method: CreationMethod, started: Option<u64>) -> Intent {
        Intent {
            login_secret: "secret".into(),
            password: "password".into(),
            started,
            was_free_at_homeserver: true,
            attempts: vec![CreationAttempt { method, wanted: CreatedAs::default() }],
            earlier_versions: Vec::new(),
            external_id: None,
        }
    }

    fn user(created: u64) -> User {
        let created = humantime::format_rfc3339_millis(
            SystemTime::UNIX_EPOCH + Duration::from_millis(1000 * created + 999),
        );
        User {
            id: Ulid::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            username: "bot".to_owned(),
            created_at: Timestamp::try_from(created.to_string()).unwrap(),
            is_locked: false,
            is_deactivated: false,
            is_admin: false,
        }
    }

    #[test]
    fn an_account_of_the_same_minute_is_ours() {
        let intent = intent(CreationMethod::Mas, Some(STARTED));
        for created in [STARTED, STARTED + 1, STARTED + 60, STARTED - 60] {
            assert_eq!(evidence_in_user(&user(created), &intent), None, "{created}");
        }
        for created in [0, STARTED - 61, STARTED + 61, STARTED + 86_400] {
            let evidence = evidence_in_user(&user(created), &intent).unwrap();
            assert!(evidence.contains("within a minute"), "{evidence}");
        }
    }

    #[test]
    fn an_account_that_was_begun_otherwise_is_not() {
        for method in [CreationMethod::SharedSecret, CreationMethod::AdminApi] {
            let evidence = evidence_in_user(&user(STARTED), &intent(method, Some(STARTED)));
            assert!(evidence.unwrap().contains("before Matrix Authentication Service"));
        }
        let without_clock = intent(CreationMethod::Mas, None);
        let evidence = evidence_in_user(&user(STARTED), &without_clock).unwrap();
        assert!(evidence.contains("did not say when"), "{evidence}");
    }

    #[test]
    fn an_account_that_somebody_has_changed_is_not() {
        let intent = intent(CreationMethod::Mas, Some(STARTED));
        for (changed, word) in [
            (User { is_locked: true, ..user(STARTED) }, "locked"),
            (User { is_deactivated: true, ..user(STARTED) }, "deactivated"),
            (User { is_admin: true, ..user(STARTED) }, "administrator"),
        ] {
            let evidence = evidence_in_user(&changed, &intent).unwrap();
            assert!(evidence.contains(word), "{evidence}");
        }
    }

    #[test]
    fn creation_is_kept_in_whole_seconds_as_synapse_has_it() {
        assert_eq!(seconds(&user(STARTED)), STARTED);
    }

    #[test]
    fn a_type_is_for_accounts_from_before() {
        let wanted = || Attributes { user_type: Some("bot"), ..Attributes::default() };
        let bot = CreatedAs { is_admin: false, user_type: Some("bot".to_owned()) };
        assert!(left_to_set(wanted(), Some(&bot)).unwrap().is_empty());
        for created_as in [None, Some(&CreatedAs::default())] {
            let error = left_to_set(wanted(), created_as).err().unwrap();
            assert_eq!(error.key.as_deref(), Some("user_type"));
        }
    }
}
