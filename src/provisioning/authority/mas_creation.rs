//! Creating an account at Matrix Authentication Service (MAS), whose refusals say why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::error::{ErrorKind, ProvisioningError};
use super::creation::{Created, Creation, LeftOver, NewAccount};
use super::mas::Mas;
use super::mas_evidence::created_ts;
use crate::homeserver::mas::{MasError, NewUser, User};
use crate::homeserver::{Profile, PublicProfile};
use crate::retry::Backoff;

/// How long after the lookup an account at the homeserver counts as left by a lost answer.
const LONGEST_TIME_TO_LOSE: Duration = Duration::from_secs(60);

/// Longest display name that an account is created with, in characters. Synapse takes no longer ones
/// later, and says so.
const LONGEST_NAME: usize = 256;

/// The waits until the homeserver is asked again whether it knows an account.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What MAS says to an account that is to be created.
enum Answer {
    /// It was not there before.
    Created(Box<User>),
    /// Somebody has the name, or it is kept back. The words say which.
    NotFree(String),
}

impl Mas<'_> {
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
                    creation_ts: Some(created_ts(&created)),
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
                creation_ts: Some(created_ts(&created)),
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
                // The first login shows whether it knows the account.
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
