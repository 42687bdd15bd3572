//! Whether a name has an account, and when that was so.

use super::request::Request;
use super::resource::SingleResponse;
use super::users::UserBody;
use super::{MasClient, MasError, RequestKind, User};
use crate::homeserver::Dated;

impl MasClient {
    /// The user whose localpart is exactly this one, with MAS' clock. See
    /// [`Self::user_by_localpart`].
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn look_up_user(&self, localpart: &str) -> Result<Dated<Option<User>>, MasError> {
        let request = Request::get(RequestKind::User, &["users", "by-username", localpart]);
        let answer = self.answer(&request).await?;
        let value = if answer.status.is_success() {
            let found: SingleResponse<UserBody> = self.understand(&request, &answer)?;
            Some(User::from(found.data)).filter(|user| user.username == localpart)
        } else {
            match Self::refused(&request, &answer) {
                // A path that MAS does not know is answered with a page of HTML, or with nothing.
                error if error.status() == Some(404) && !error.message().is_empty() => None,
                error => return Err(error),
            }
        };
        Ok(Dated { value, date: answer.date })
    }
}
