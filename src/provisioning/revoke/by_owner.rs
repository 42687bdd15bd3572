//! Revoking without an administrator, which takes a session of the account's own.

use secrecy::SecretString;

use super::super::account::account_entry::Record;
use super::super::account::entry_store::Current;
use super::super::account::sessions::{Freshness, LoginOptions};
use super::call::{Call, LOGIN_LIMIT, NOT_OF_THE_MODULE, Pass};
use crate::homeserver::AccessToken;

impl Call<'_> {
    /// Without an administrator it takes a session of the account's own.
    pub(super) async fn by_owner(mut self) -> Pass {
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
        if let Some(error) = self.unanswered.take_if(|error| error.is_unconnected) {
            self.warn_of_sessions(&error.message);
            return None;
        }
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
}
