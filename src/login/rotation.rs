//! Secrets that were just replaced, which go on opening their account for a while.

use std::time::{Duration, SystemTime};

use crate::notice::{Notices, Throttle};
use crate::vault::{Entry, Secret, Version};

/// How long the secret before a rotation is accepted beside the new one.
pub struct Rotation {
    grace: Duration,
    notices: Notices,
    throttle: Throttle,
}

/// The version before the newest one, while that is young.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousVersion {
    /// The version's number.
    pub number: u64,
    /// Until when it is accepted, by Vault's clock.
    pub until: SystemTime,
}

impl Rotation {
    /// The rule of the configuration; `None` if a new secret ends the old one at once.
    pub fn new(grace: Duration, notices: Notices) -> Option<Self> {
        (!grace.is_zero()).then(|| Self { grace, notices, throttle: Throttle::once() })
    }

    /// The version that may open the account beside the newest one; `None` if there is none.
    ///
    /// A deleted, destroyed or unusable newest version stands for nothing but itself: whoever made
    /// it so wants nobody to get in.
    pub fn previous(&self, newest: &Entry) -> Option<PreviousVersion> {
        let Entry::Secret(Secret { revision: Some(newest), .. }) = newest else { return None };
        let number = newest.number.checked_sub(1).filter(|number| *number > 0)?;
        let until = newest.created.checked_add(self.grace)?;
        newest.age().filter(|age| *age < self.grace).map(|_| PreviousVersion { number, until })
    }

    /// Says once that the rule has no effect, if that shows.
    pub fn warn_if_useless(&self, engine: Option<Version>, newest: Option<&Entry>) {
        let reason = match (engine, newest) {
            (Some(Version::V1), _) => "the KV engine is of version 1, which keeps one secret only",
            (_, Some(Entry::Secret(Secret { revision: Some(revision), .. })))
                if revision.age().is_none() =>
            {
                "Vault says of a secret that it was written in the future; check the clocks of its \
                 nodes"
            }
            (_, Some(Entry::Secret(Secret { revision: None, .. }))) => {
                "Vault's answers do not tell when a secret was written and what time it is now; \
                 check what stands between the module and Vault"
            }
            _ => return,
        };
        self.throttle.say(Some(reason.to_owned()), |reason| {
            self.notices.warning(format!("rotation_grace has no effect: {reason}"));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Revision;

    const GRACE: Duration = Duration::from_secs(600);

    fn rotation() -> Rotation {
        Rotation::new(GRACE, Notices::new(|_| {})).unwrap()
    }

    fn newest(number: u64, age: u64) -> Entry {
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let answered = created + Duration::from_secs(age);
        let revision = Some(Revision { number, created, answered });
        let login_secret = "s".into();
        Entry::Secret(Secret { login_secret, display_name: None, revision, deleted_in: None })
    }

    #[test]
    fn the_version_before_a_young_one_is_accepted() {
        let previous = rotation().previous(&newest(5, 599)).unwrap();
        assert_eq!(previous.number, 4);
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_600);
        assert_eq!(previous.until, until);
    }

    #[test]
    fn nothing_else_is() {
        assert_eq!(rotation().previous(&newest(5, 600)), None);
        assert_eq!(rotation().previous(&newest(1, 0)), None);
        assert_eq!(rotation().previous(&newest(0, 0)), None);
        assert_eq!(rotation().previous(&Entry::Missing), None);
        assert_eq!(rotation().previous(&Entry::Unusable("empty")), None);
        let Entry::Secret(secret) = newest(5, 0) else { unreachable!() };
        let later = secret.revision.map(|revision| Revision {
            created: revision.created + Duration::from_secs(11),
            ..revision
        });
        let written_later = Entry::Secret(Secret { revision: later, ..secret.clone() });
        assert_eq!(rotation().previous(&written_later), None);
        let untold = Entry::Secret(Secret { revision: None, ..secret });
        assert_eq!(rotation().previous(&untold), None);
        assert!(Rotation::new(Duration::ZERO, Notices::new(|_| {})).is_none());
    }
}
