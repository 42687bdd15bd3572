//! How long Vault takes for what, and how often it is asked again.

use reqwest::Method;

use crate::metrics::{Counter, Distribution, Histogram, Timing};

/// What a request to Vault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// To read an entry.
    Read,
    /// To learn what is mounted, and in which version.
    Mount,
    /// To learn how long our token lives.
    LookupSelf,
    /// To let it live longer.
    RenewSelf,
    /// To get a token.
    Login,
    /// To unwrap a secret of ours.
    Unwrap,
    /// To learn which node is active.
    Health,
}

/// The requests to one cluster.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    requests: [Histogram; RequestKind::ALL.len()],
    /// Requests that were sent again because one before had failed or was not answered.
    pub retries: Counter,
}

impl RequestKind {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Mount,
        Self::LookupSelf,
        Self::RenewSelf,
        Self::Login,
        Self::Unwrap,
        Self::Health,
    ];

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mount => "mount",
            Self::LookupSelf => "lookup_self",
            Self::RenewSelf => "renew_self",
            Self::Login => "login",
            Self::Unwrap => "unwrap",
            Self::Health => "health",
        }
    }

    /// What a request is for, by its path; `None` for what no login needs.
    fn of(method: &Method, path: &str) -> Option<Self> {
        match path {
            "sys/health" => Some(Self::Health),
            "sys/wrapping/unwrap" => Some(Self::Unwrap),
            "auth/token/lookup-self" => Some(Self::LookupSelf),
            "auth/token/renew-self" => Some(Self::RenewSelf),
            path if path.starts_with("sys/internal/ui/mounts/") => Some(Self::Mount),
            path if path.starts_with("auth/") => Some(Self::Login),
            _ if method == Method::GET => Some(Self::Read),
            _ => None,
        }
    }
}

impl RequestMetrics {
    /// Begins to measure one exchange.
    pub(super) fn time(&self, method: &Method, path: &str) -> Option<Timing<'_>> {
        let operation = RequestKind::of(method, path)?;
        self.requests.get(operation as usize).map(Histogram::time)
    }

    /// How long the exchanges of each kind took.
    #[must_use]
    pub fn requests(&self) -> Vec<(RequestKind, Distribution)> {
        let distributions = self.requests.iter().map(Histogram::read);
        RequestKind::ALL.into_iter().zip(distributions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustify::endpoint::Endpoint;
    use vaultrs::api::auth::{
        approle::requests::LoginWithApproleRequest, userpass::requests::LoginRequest,
    };
    use vaultrs::api::kv1::requests::GetSecretRequest;
    use vaultrs::api::kv2::requests::ReadSecretRequest;
    use vaultrs::api::sys::requests::ReadHealthRequest;
    use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest};

    use crate::vault::request::Request;
    use crate::vault::request::path_of;

    fn get<E: Endpoint>(endpoint: &E) -> Option<RequestKind> {
        RequestKind::of(&Method::GET, &path_of(endpoint))
    }

    fn post<E: Endpoint>(endpoint: &E) -> Option<RequestKind> {
        RequestKind::of(&Method::POST, &path_of(endpoint))
    }

    #[test]
    fn operations_are_told_by_what_is_asked_for() {
        let text = String::new;
        let userpass = LoginRequest { mount: text(), username: text(), password: text() };
        let approle = LoginWithApproleRequest { mount: text(), role_id: text(), secret_id: text() };
        let entry = ReadSecretRequest { mount: "kv".to_owned(), path: text(), version: Some(1) };
        let old_entry = GetSecretRequest { mount: "kv".to_owned(), path: text() };
        assert_eq!(post(&userpass), Some(RequestKind::Login));
        assert_eq!(post(&approle), Some(RequestKind::Login));
        assert_eq!(post(&Request::post("auth/cert/login", None)), Some(RequestKind::Login));
        assert_eq!(post(&Request::post("sys/wrapping/unwrap", None)), Some(RequestKind::Unwrap));
        assert_eq!(get(&Request::get("sys/internal/ui/mounts/kv")), Some(RequestKind::Mount));
        assert_eq!(get(&ReadHealthRequest::default()), Some(RequestKind::Health));
        assert_eq!(get(&LookupTokenSelfRequest::default()), Some(RequestKind::LookupSelf));
        assert_eq!(post(&RenewTokenSelfRequest::default()), Some(RequestKind::RenewSelf));
        assert_eq!(get(&entry), Some(RequestKind::Read));
        assert_eq!(get(&old_entry), Some(RequestKind::Read));
        let list = Method::from_bytes(b"LIST").unwrap();
        assert_eq!(RequestKind::of(&list, &path_of(&entry)), None);
    }

    #[test]
    fn each_operation_has_a_place_of_its_own() {
        for (place, operation) in RequestKind::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
        let metrics = RequestMetrics::default();
        drop(metrics.time(&Method::GET, "sys/health"));
        for (operation, distribution) in metrics.requests() {
            let count = u64::from(operation == RequestKind::Health);
            assert_eq!(distribution.cumulative.last(), Some(&count));
        }
    }
}
