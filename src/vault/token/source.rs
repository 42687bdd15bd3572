//! Where tokens come from, and what to do about one that cannot be replaced.

use super::active::ActiveToken;
use super::auth::AuthMethod;
use super::file::TokenFile;
use crate::vault::{Token, VaultError};

/// Where tokens come from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// The configuration or the environment.
    Static(Token),
    /// A file that another program keeps up to date.
    File(TokenFile),
    /// An auth method.
    Login(AuthMethod),
    /// A proxy of Vault's own in front of it, which adds a token of its own to each request.
    Proxy,
}

impl TokenSource {
    /// What to do about a token that the module cannot replace by itself.
    pub fn advice(&self) -> String {
        match self {
            Self::File(file) => format!("put a new one into {}", file.path()),
            Self::Static(_) => {
                "put a new one into vault_token (or VAULT_TOKEN) and restart Synapse".to_owned()
            }
            Self::Login(_) => "check the role's policies".to_owned(),
            Self::Proxy => "it is the proxy at vault_url that adds one; the proxy may still use a \
                            dead token from its cache, so see its log and restart it"
                .to_owned(),
        }
    }

    /// The error for a token that is dead and has no replacement.
    pub fn invalid(&self, dead: &ActiveToken) -> VaultError {
        let has_worked = dead.has_worked();
        match self {
            Self::File(file) if has_worked => VaultError::TokenInvalid {
                advice: format!("{} still holds it; put a new one there", file.path()),
            },
            Self::Proxy => VaultError::TokenInvalid { advice: self.advice() },
            _ if has_worked => VaultError::TokenInvalid { advice: self.advice() },
            _ => self.refused(),
        }
    }

    /// The error for tokens that have got nothing but 403.
    pub fn refused(&self) -> VaultError {
        let advice = match self {
            Self::Login(_) => "its token_bound_cidrs may exclude this host, or its policies allow \
                               nothing in the mount; check the role that vault_auth names"
                .to_owned(),
            Self::Static(_) | Self::File(_) | Self::Proxy => format!(
                "it is unknown to Vault or has expired, its token_bound_cidrs exclude this host, \
                 or its namespace is not vault_namespace; if need be, {}",
                self.advice()
            ),
        };
        VaultError::TokenRefused { advice }
    }
}
