//! What the entry of a kept token holds. All of it is flat, for programs that read single fields.

use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::super::error::{ErrorKind, ProvisioningError};
use crate::homeserver::AccessToken;
use crate::vault::LOGIN_SECRET;

const ACCESS_TOKEN: &str = "access_token";
const DEVICE_ID: &str = "device_id";
const EARLIER_SESSION_ID: &str = "earlier_session_id";
const EXPIRES_AT: &str = "expires_at";
const HOMESERVER_URL: &str = "homeserver_url";
const RENEWAL: &str = "renewal";
const SESSION_ID: &str = "session_id";
const USER_ID: &str = "user_id";

const FIELDS: [&str; 8] = [
    ACCESS_TOKEN,
    DEVICE_ID,
    EARLIER_SESSION_ID,
    EXPIRES_AT,
    HOMESERVER_URL,
    RENEWAL,
    SESSION_ID,
    USER_ID,
];

/// Most names of fields that an error shows.
const MOST_NAMES: usize = 5;

/// What the entry of a kept token holds.
#[derive(Clone, Debug, Default)]
pub struct KeptEntry {
    /// Whose token it is.
    pub user_id: Option<String>,
    /// The device, which is the same for all tokens that follow each other.
    pub device_id: Option<String>,
    /// Where the token works.
    pub homeserver_url: Option<String>,
    /// The token; `None` before the first one.
    pub access_token: Option<SecretString>,
    /// When the token ends, as of RFC 3339; `None` if nothing limits it.
    pub expires_at: Option<String>,
    /// The session at Matrix Authentication Service; `None` without it.
    pub session_id: Option<String>,
    /// The session before, until it is ended.
    pub earlier_session_id: Option<String>,
    /// The mark of the run that is about to open the next session, or was killed then.
    pub renewal: Option<String>,
}

impl KeptEntry {
    /// Reads the fields of the entry at `path`, which is to keep a token of `user_id`.
    ///
    /// # Errors
    /// When the entry is for something else, or for another user. No value is shown.
    pub fn of(
        fields: Map<String, Value>,
        path: &str,
        user_id: &str,
    ) -> Result<Self, ProvisioningError> {
        if fields.contains_key(LOGIN_SECRET) {
            return Err(foreign(path, "a login_secret: whoever may read a secret can log in"));
        }
        let mut others: Vec<String> = fields
            .keys()
            .filter(|name| !FIELDS.contains(&name.as_str()))
            .map(|name| crate::text::quote(name))
            .collect();
        if !others.is_empty() {
            others.truncate(MOST_NAMES);
            return Err(foreign(path, &format!("fields of others: {}", others.join(", "))));
        }
        let mut fields = Fields { fields, path };
        let entry = Self {
            user_id: fields.take(USER_ID)?,
            device_id: fields.take(DEVICE_ID)?,
            homeserver_url: fields.take(HOMESERVER_URL)?,
            access_token: fields.take(ACCESS_TOKEN)?.map(SecretString::from),
            expires_at: fields.take(EXPIRES_AT)?,
            session_id: fields.take(SESSION_ID)?,
            earlier_session_id: fields.take(EARLIER_SESSION_ID)?,
            renewal: fields.take(RENEWAL)?,
        };
        match &entry.user_id {
            Some(other) if other != user_id => Err(foreign(path, "the token of another user")),
            None if entry.access_token.is_some() => {
                Err(foreign(path, "a token without a user_id, which was not kept by us"))
            }
            _ => Ok(entry),
        }
    }

    /// The fields to store. Those that say how a token ends are always there.
    pub fn fields(&self) -> Map<String, Value> {
        let token = self.access_token.as_ref().map(|token| token.expose_secret().to_owned());
        let mut fields = Map::new();
        for (name, value) in [
            (USER_ID, self.user_id.clone()),
            (DEVICE_ID, self.device_id.clone()),
            (HOMESERVER_URL, self.homeserver_url.clone()),
            (ACCESS_TOKEN, token),
            (EARLIER_SESSION_ID, self.earlier_session_id.clone()),
            (RENEWAL, self.renewal.clone()),
        ] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), Value::String(value));
            }
        }
        for (name, value) in [(EXPIRES_AT, &self.expires_at), (SESSION_ID, &self.session_id)] {
            fields.insert(name.to_owned(), value.clone().map_or(Value::Null, Value::String));
        }
        fields
    }

    /// Whether it holds a token that was kept, or says that one is about to be. Then the kept sessions
    /// on its device are its own. A device that was chosen by hand is no sign of that.
    pub fn has_kept(&self) -> bool {
        self.device_id.is_some() && (self.access_token.is_some() || self.renewal.is_some())
    }

    /// Whether it holds this token.
    pub fn has_token(&self, token: &AccessToken) -> bool {
        let kept = self.access_token.as_ref().map(ExposeSecret::expose_secret);
        kept == Some(token.secret().expose_secret())
    }

    /// When the token ends; `None` if it does not, or that cannot be read.
    pub fn end(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(self.expires_at.as_deref()?).ok()
    }
}

struct Fields<'a> {
    fields: Map<String, Value>,
    path: &'a str,
}

impl Fields<'_> {
    /// The text of a field, if it has any.
    fn take(&mut self, name: &str) -> Result<Option<String>, ProvisioningError> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(_) => Err(foreign(self.path, &format!("a {name} that is not text"))),
        }
    }
}

/// An entry that is not for a token of this user.
fn foreign(path: &str, what: &str) -> ProvisioningError {
    ProvisioningError::new(ErrorKind::Conflict, format!("{path} holds {what}"))
        .advise("keep the token in an entry of its own: name another path")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const USER: &str = "@bot:example.org";

    fn read(value: Value) -> Result<KeptEntry, ProvisioningError> {
        let Value::Object(fields) = value else { panic!("no fields") };
        KeptEntry::of(fields, "secret/tokens/bot", USER)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let stored = json!({
            "user_id": USER, "device_id": "D", "homeserver_url": "https://m", "access_token": "t",
            "expires_at": "2030-01-01T00:00:00Z", "session_id": "01S", "earlier_session_id": "01R",
            "renewal": "M",
        });
        assert_eq!(Value::Object(read(stored.clone()).unwrap().fields()), stored);
        let fields = read(json!({"user_id": USER, "access_token": "t"})).unwrap().fields();
        assert_eq!((&fields["expires_at"], &fields["session_id"]), (&Value::Null, &Value::Null));
        // A device may be chosen by hand before the first token.
        assert_eq!(read(json!({"device_id": "D"})).unwrap().device_id.as_deref(), Some("D"));
    }

    #[test]
    fn a_device_alone_is_no_sign_of_a_kept_token() {
        for (stored, has_kept) in [
            (json!({}), false),
            (json!({"device_id": "D"}), false),
            (json!({"user_id": USER, "access_token": "t"}), false),
            (json!({"user_id": USER, "access_token": "t", "device_id": "D"}), true),
            (json!({"device_id": "D", "renewal": "M"}), true),
        ] {
            assert_eq!(read(stored.clone()).unwrap().has_kept(), has_kept, "{stored}");
        }
    }

    #[test]
    fn an_entry_of_others_is_refused_without_a_value() {
        for (stored, said) in [
            (json!({"login_secret": "secret-value"}), "login_secret"),
            (json!({"access_token": "secret-value"}), "without a user_id"),
            (json!({"access_token": {"a": "secret-value"}, "user_id": USER}), "not text"),
            (json!({"user_id": "@secret-value:example.org"}), "another user"),
            (json!({"password": "secret-value", "user_id": USER}), "fields of others: password"),
        ] {
            let error = read(stored).unwrap_err();
            assert!(error.message.contains(said), "{error}");
            assert!(!format!("{error:?}").contains("secret-value"), "{error:?}");
        }
    }
}
