//! How an account is created, and what it is then.

use serde::{Deserialize, Serialize};

/// One attempt to create an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreationAttempt {
    /// How.
    #[serde(rename = "means")]
    pub method: CreationMethod,
    /// What it is to be.
    #[serde(flatten)]
    pub wanted: CreatedAs,
}

/// How an account is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreationMethod {
    /// By registration with the shared secret, with a password.
    SharedSecret,
    /// By the admin API, without a password.
    AdminApi,
    /// By the admin API of Matrix Authentication Service, without a password.
    Mas,
}

/// What a registration with the shared secret sets, and nothing but the admin API changes later.
/// What was created over the admin API is neither at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedAs {
    /// Whether it is a server administrator.
    pub is_admin: bool,
    /// Its type, such as `bot`.
    pub user_type: Option<String>,
}

impl CreationAttempt {
    /// What the account is then: neither admin API creates anything special.
    pub fn result(&self) -> CreatedAs {
        match self.method {
            CreationMethod::SharedSecret => self.wanted.clone(),
            CreationMethod::AdminApi | CreationMethod::Mas => CreatedAs::default(),
        }
    }
}
