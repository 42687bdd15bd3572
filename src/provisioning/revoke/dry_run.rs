//! Saying what a call would do.

use super::super::account::account_entry::Record;
use super::super::account::entry_store::Current;
use super::call::{Call, NOT_OF_THE_MODULE, Pass};

impl Call<'_> {
    /// Says what would be done.
    pub(super) async fn plan(mut self) -> Pass {
        let Current { record, is_stored, .. } = self.operation.entry.rounds().next().await?;
        self.revoked.secret_removed = is_stored && !matches!(record, Record::Revoking(_));
        let is_ours = match &record {
            Record::Entry(_) => true,
            Record::Revoking(revocation) => revocation.had_secret,
            Record::Nothing | Record::Intent(_) | Record::Unusable(_) => false,
        };
        if self.may_administer() {
            self.look_for_mas_again().await?;
        }
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
}
