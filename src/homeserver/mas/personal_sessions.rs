//! Personal sessions: those that a client of the admin API opens for a user.
//!
//! API: <https://element-hq.github.io/matrix-authentication-service/api/index.html>, under
//! `personal-session`. MAS has them since 1.5.

use reqwest::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::request::Request;
use super::resource::{Resource, SingleResponse};
use super::scope::{device_in, device_words};
use super::{
    DeviceId, MasClient, MasError, RequestKind, Scope, SessionName, SessionPurpose, Timestamp, Ulid,
};
use crate::homeserver::AccessToken;

/// A personal session.
#[derive(Clone, Debug)]
pub struct PersonalSession {
    /// Its id.
    pub id: Ulid,
    /// Which client opened it; `None` if a user did.
    pub owner_client_id: Option<Ulid>,
    /// As whom it acts.
    pub actor_user_id: Ulid,
    /// What it is called.
    pub human_name: String,
    /// What it may do.
    pub scope: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its token ends, unless it has no end.
    pub expires_at: Option<Timestamp>,
}

/// A personal session that was opened just now.
#[derive(Clone, Debug)]
pub struct CreatedSession {
    /// The session.
    pub session: PersonalSession,
    /// Its token, which MAS tells in this answer alone.
    pub access_token: AccessToken,
}

/// A personal session that is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewPersonalSession<'a> {
    /// As whom it acts.
    pub actor: &'a Ulid,
    /// What it is called.
    pub name: &'a SessionName,
    /// What it may do.
    pub scope: &'a Scope,
    /// How long its token works, in seconds; `None` for one without an end.
    pub expires_in: Option<u32>,
}

/// Which of a user's personal sessions are listed, of those that nobody has ended.
#[derive(Clone, Copy, Debug)]
pub enum PersonalSessionFilter<'a> {
    /// All of them.
    Active,
    /// Those with this device.
    OnDevice(&'a DeviceId),
    /// Those whose token had ended by then.
    ExpiredBefore(&'a Timestamp),
}

impl PersonalSession {
    /// The device that it has.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        device_in(&self.scope)
    }

    /// What it is for, if it has a mark of ours.
    #[must_use]
    pub fn purpose(&self) -> Option<SessionPurpose> {
        SessionName::purpose_of(&self.human_name)
    }

    /// Whether its token had ended by then.
    #[must_use]
    pub fn had_expired_by(&self, now: &Timestamp) -> bool {
        self.expires_at.as_ref().is_some_and(|end| end.time() <= now.time())
    }
}

impl MasClient {
    /// Opens a personal session.
    ///
    /// It must not be sent twice: each request may open a session of its own. If an answer is lost,
    /// the session is found by the mark in its name.
    ///
    /// # Errors
    /// 410 if the user is deactivated, 404 if there is none, and what kept MAS from answering.
    pub async fn create_personal_session(
        &self,
        new: &NewPersonalSession<'_>,
    ) -> Result<CreatedSession, MasError> {
        let body = CreateBody {
            actor_user_id: new.actor.as_str(),
            human_name: &new.name.to_string(),
            scope: &new.scope.to_string(),
            expires_in: new.expires_in,
        };
        let request = Request::post(RequestKind::OpenSession, &["personal-sessions"], &body)?;
        let answer = self.send(&request).await.map_err(|error| {
            let is_unknown_path = error.status() == Some(404) && !error.is_not_found();
            if is_unknown_path { no_personal_sessions() } else { error }
        })?;
        if answer.status != StatusCode::CREATED {
            return Err(self.not_of_mas(&request));
        }
        let SingleResponse { mut data } =
            self.understand::<SingleResponse<PersonalSessionBody>>(&request, &answer)?;
        let token = data.attributes.access_token.take();
        let access_token = token.and_then(|token| AccessToken::parse(&token).ok());
        let access_token = access_token.ok_or_else(|| self.not_of_mas(&request))?;
        Ok(CreatedSession { session: data.into(), access_token })
    }

    /// The personal sessions of a user that nobody has ended, whoever opened them.
    ///
    /// # Errors
    /// 404 if there is no such user, and what kept MAS from answering.
    pub async fn personal_sessions(
        &self,
        actor: &Ulid,
        filter: PersonalSessionFilter<'_>,
    ) -> Result<Vec<PersonalSession>, MasError> {
        let of_user = [("filter[actor_user]", actor.as_str()), ("filter[status]", "active")];
        match filter {
            PersonalSessionFilter::Active => self.list_personal(&of_user).await,
            PersonalSessionFilter::ExpiredBefore(now) => {
                let [actor, status] = of_user;
                let expired = ("filter[expires_before]", now.as_str());
                let mut found = self.list_personal(&[actor, status, expired]).await?;
                found.retain(|session| session.had_expired_by(now));
                Ok(found)
            }
            PersonalSessionFilter::OnDevice(device) => {
                let [actor, status] = of_user;
                let mut found = Vec::new();
                for word in device_words(device) {
                    let scope = ("filter[scope]", word.as_str());
                    found.extend(self.list_personal(&[actor, status, scope]).await?);
                }
                found.retain(|session| session.device_id() == Some(device.as_str()));
                found.sort_by(|a, b| a.id.cmp(&b.id));
                found.dedup_by(|a, b| a.id == b.id);
                Ok(found)
            }
        }
    }

    /// Ends a personal session, which may have been ended before.
    ///
    /// # Errors
    /// What kept MAS from answering.
    pub async fn revoke_personal_session(&self, id: &Ulid) -> Result<(), MasError> {
        let path = ["personal-sessions", id.as_str(), "revoke"];
        match self.act(&Request::post_nothing(RequestKind::EndSession, &path)).await {
            Err(error) if error.status() == Some(409) => Ok(()),
            result => result,
        }
    }

    async fn list_personal(
        &self,
        filters: &[(&str, &str)],
    ) -> Result<Vec<PersonalSession>, MasError> {
        let path = ["personal-sessions"];
        let found =
            self.list::<PersonalSessionBody>(RequestKind::ListSessions, &path, filters).await?;
        Ok(found.into_iter().map(PersonalSession::from).collect())
    }
}

fn no_personal_sessions() -> MasError {
    MasError::unsent(
        "Matrix Authentication Service knows no personal sessions; it must be 1.5 or newer, and \
         admin_api the address of its listener with the resource \"adminapi\"",
    )
}

#[derive(Serialize)]
struct CreateBody<'a> {
    actor_user_id: &'a str,
    human_name: &'a str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u32>,
}

#[derive(Deserialize)]
struct PersonalSessionBody {
    created_at: Timestamp,
    #[serde(default)]
    owner_client_id: Option<Ulid>,
    actor_user_id: Ulid,
    human_name: String,
    scope: String,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    access_token: Option<SecretString>,
}

impl From<Resource<PersonalSessionBody>> for PersonalSession {
    fn from(Resource { id, attributes, .. }: Resource<PersonalSessionBody>) -> Self {
        Self {
            id,
            owner_client_id: attributes.owner_client_id,
            actor_user_id: attributes.actor_user_id,
            human_name: attributes.human_name,
            scope: attributes.scope,
            created_at: attributes.created_at,
            expires_at: attributes.expires_at,
        }
    }
}
