//! The auth methods by which the module logs in to Vault.

use std::sync::{Arc, MutexGuard};

use secrecy::{ExposeSecret, SecretString};
use vaultrs::api::auth::{
    approle::requests::LoginWithApproleRequest, kubernetes::requests::LoginWithKubernetesRequest,
    oidc::requests::JWTLoginRequest, userpass::requests::LoginRequest as UserpassLoginRequest,
};

use super::lease::{Granted, granted};
use super::wrapping::unwrap;
use crate::credential::{Credential, same};
use crate::notice::Notices;
use crate::sync::Mutex;
use crate::vault::cluster::Cluster;
use crate::vault::error::quote;
use crate::vault::request::{Request, RequestKind};
use crate::vault::transport::{RequestHeaders, ServerResponse};
use crate::vault::{AuthNamespace, Token, VaultError};

/// An auth method of Vault, and what the module logs in with.
#[derive(Clone, Debug)]
pub struct AuthMethod {
    /// The path at which the method is enabled, without `auth/`.
    pub mount: String,
    /// The namespace in which the method is enabled.
    pub namespace: AuthNamespace,
    /// What the module logs in with.
    pub credentials: AuthCredentials,
}

/// What the module logs in with, for each auth method.
#[derive(Clone, Debug)]
pub enum AuthCredentials {
    /// <https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle>
    AppRole {
        /// The role.
        role_id: Credential,
        /// The secret id, or a token that wraps it. A role with `bind_secret_id=false` needs none.
        secret_id: Option<Credential>,
        /// The secret id that was wrapped, if `secret_id` is a token that wraps one.
        unwrapped: Option<Unwrapped>,
    },
    /// <https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login>
    Kubernetes {
        /// The role.
        role: String,
        /// The service account's token.
        jwt: Credential,
    },
    /// <https://developer.hashicorp.com/vault/api-docs/auth/jwt#jwt-login>
    Jwt {
        /// The role; without one, Vault takes the mount's default role.
        role: Option<String>,
        /// The signed token.
        jwt: Credential,
    },
    /// <https://developer.hashicorp.com/vault/api-docs/auth/cert#login-with-tls-certificate-method>
    Cert {
        /// The role; without one, Vault takes any that fits the certificate.
        role: Option<String>,
    },
    /// <https://developer.hashicorp.com/vault/api-docs/auth/userpass#login>
    Userpass {
        /// The user.
        username: String,
        /// The user's password.
        password: Credential,
    },
}

/// A secret id that was wrapped, with its wrapping token. It is kept because a wrapping token works
/// once.
#[derive(Clone, Default)]
pub struct Unwrapped(Arc<Mutex<Option<(SecretString, SecretString)>>>);

impl std::fmt::Debug for Unwrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unwrapped")
    }
}

impl AuthMethod {
    /// The method's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.credentials {
            AuthCredentials::AppRole { .. } => "approle",
            AuthCredentials::Kubernetes { .. } => "kubernetes",
            AuthCredentials::Jwt { .. } => "jwt",
            AuthCredentials::Cert { .. } => "cert",
            AuthCredentials::Userpass { .. } => "userpass",
        }
    }

    /// Whether a token of the method belongs to the client certificate that logged in.
    #[must_use]
    pub fn is_bound_to_client_certificate(&self) -> bool {
        matches!(self.credentials, AuthCredentials::Cert { .. })
    }

    /// Logs in. Reads the files with its credentials again each time.
    ///
    /// # Errors
    /// [`VaultError::LoginRefused`] for a 4xx, or what kept Vault from answering.
    pub async fn login(
        &self,
        cluster: &Arc<Cluster>,
        notices: &Notices,
    ) -> Result<Granted, VaultError> {
        let mount = self.mount.clone();
        match &self.credentials {
            AuthCredentials::AppRole { role_id, secret_id, unwrapped } => {
                let role_id = role_id.read(notices).await.expose_secret().to_owned();
                let Some(secret_id) = secret_id else {
                    // vaultrs' own type wants a secret id.
                    let body = serde_json::json!({ "role_id": role_id });
                    let path = format!("auth/{mount}/login");
                    let request = Request::post(RequestKind::Login, &path, Some(&body));
                    return self.send(cluster, Ok(request)).await;
                };
                let mut secret_id = secret_id.read(notices).await;
                if let Some(unwrapped) = unwrapped {
                    secret_id = unwrapped.secret_id(self, cluster, secret_id).await?;
                }
                let secret_id = secret_id.expose_secret().to_owned();
                let request = LoginWithApproleRequest { mount, role_id, secret_id };
                self.send(cluster, Request::of(RequestKind::Login, &request)).await
            }
            AuthCredentials::Kubernetes { role, jwt } => {
                let jwt = jwt.read(notices).await.expose_secret().to_owned();
                let role = role.clone();
                let request = LoginWithKubernetesRequest { mount, role, jwt };
                self.send(cluster, Request::of(RequestKind::Login, &request)).await
            }
            AuthCredentials::Jwt { role, jwt } => {
                let jwt = jwt.read(notices).await.expose_secret().to_owned();
                let role = role.clone();
                let request = JWTLoginRequest { mount, jwt, role };
                self.send(cluster, Request::of(RequestKind::Login, &request)).await
            }
            AuthCredentials::Cert { role } => {
                // vaultrs calls the role `cert_name`, which Vault does not know.
                let body = role.as_ref().map(|role| serde_json::json!({ "name": role }));
                let path = format!("auth/{mount}/login");
                self.send(cluster, Ok(Request::post(RequestKind::Login, &path, body.as_ref())))
                    .await
            }
            AuthCredentials::Userpass { username, password } => {
                let password = password.read(notices).await.expose_secret().to_owned();
                let username = username.clone();
                let request = UserpassLoginRequest { mount, username, password };
                self.send(cluster, Request::of(RequestKind::Login, &request)).await
            }
        }
    }

    async fn send(
        &self,
        cluster: &Arc<Cluster>,
        request: Result<Request, VaultError>,
    ) -> Result<Granted, VaultError> {
        let answer = cluster.send(&request?, self.headers(None)).await?;
        if answer.status.is_client_error() {
            return Err(self.refused(&answer));
        }
        let mut granted = granted(self.name(), &answer)?;
        granted.identity = granted.identity.from(&format!("auth/{}/login", self.mount));
        Ok(granted)
    }

    /// The headers of requests to this method, or about a token of it.
    pub fn headers<'a>(&'a self, token: Option<&'a Token>) -> RequestHeaders<'a> {
        RequestHeaders::Auth { token, namespace: &self.namespace }
    }

    fn refused(&self, answer: &ServerResponse) -> VaultError {
        VaultError::LoginRefused {
            method: self.name(),
            status: answer.status.as_u16(),
            quote: quote(&answer.body),
        }
    }
}

impl Unwrapped {
    /// The secret id that `wrapping_token` wraps. Vault is asked once for each wrapping token.
    async fn secret_id(
        &self,
        method: &AuthMethod,
        cluster: &Arc<Cluster>,
        wrapping_token: SecretString,
    ) -> Result<SecretString, VaultError> {
        if let Some((token, secret_id)) = &*self.lock()
            && same(token, &wrapping_token)
        {
            return Ok(secret_id.clone());
        }
        let unwrapped = unwrap(cluster, &method.namespace, &wrapping_token, "secret_id").await;
        match (unwrapped, self.known()) {
            (Ok(secret_id), _) => {
                *self.lock() = Some((wrapping_token, secret_id.clone()));
                Ok(secret_id)
            }
            // The wrapping token is spent, but the secret id of the one before may still work.
            (Err(VaultError::LoginRefused { .. }), Some(known)) => Ok(known),
            (Err(error), _) => Err(error),
        }
    }

    fn known(&self) -> Option<SecretString> {
        self.lock().as_ref().map(|(_, secret_id)| secret_id.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(SecretString, SecretString)>> {
        self.0.lock()
    }
}
