//! How leases are issued, renewed and revoked.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::super::fake_homeserver::FakeHomeserver;
use super::site::{STATIC, Site, error, eventually, seconds};
use crate::plugin::testing::{HostRequest, Secret, data, request, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_a_session() {
    let site = Site::start().await;
    let lease = site.lease().await;
    let options = lease.lease_options.unwrap();
    assert_eq!((seconds(options.ttl), seconds(options.max_ttl)), (3600, 7200));
    assert!(options.issue_time.is_some() && options.renewable);
    assert_eq!(site.homeserver.sessions(), 1);
    eventually(|| site.host.stored("opening/").is_empty()).await;
    assert_eq!(site.host.stored("open/").len(), 1);
    let renewed = site.host.about_lease("renew", lease.clone()).await;
    let secret = renewed.response.unwrap().secret.unwrap();
    assert_eq!(secret.internal_data, lease.internal_data);
    assert!(secret.lease_options == lease.lease_options);
    for _ in 0..2 {
        assert_eq!(status(&site.host.about_lease("revoke", lease.clone()).await), 200);
        assert_eq!(site.homeserver.sessions(), 0);
        assert!(site.host.stored("open/").is_empty() && site.host.stored("pending/").is_empty());
    }
    let refused = site.host.about_lease("renew", lease).await;
    assert_eq!(status(&refused), 400);
    assert!(error(&refused).contains("M_UNKNOWN_TOKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_without_any_configuration() {
    let site = Site::start().await;
    let lease = site.lease().await;
    for path in ["config/user/alice/example.org", "config/homeserver/example.org"] {
        assert_eq!(status(&site.host.ask("delete", path, "{}").await), 200);
    }
    assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    assert_eq!(site.homeserver.sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_caps_the_lease() {
    let site = Site::start().await;
    for (milliseconds, ttl, max_ttl) in [
        (json!(5994), 5_994_000_000, 5_994_000_000),
        (json!(4_000_000), 3_600_000_000_000, 4_000_000_000_000),
        (json!(0), 1_000_000_000, 1_000_000_000),
        (json!(-1), 1_000_000_000, 1_000_000_000),
        (json!(u64::MAX), 3_600_000_000_000, 7_200_000_000_000),
        (json!(1e300), 3_600_000_000_000, 7_200_000_000_000),
        (json!("5994"), 3_600_000_000_000, 7_200_000_000_000),
        (json!(null), 3_600_000_000_000, 7_200_000_000_000),
    ] {
        *site.homeserver.state.login_answer.lock() = json!({"expires_in_ms": milliseconds});
        let options = site.lease().await.lease_options.unwrap();
        assert_eq!((options.ttl, options.max_ttl), (ttl, max_ttl), "{milliseconds}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_does_not_need_the_homeserver() {
    let site = Site::start().await;
    let lease = site.lease().await;
    site.configure(json!({"request_timeout": "500ms"})).await;
    site.hang(true);
    assert_eq!(status(&site.host.about_lease("renew", lease).await), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_ttls_count_at_the_next_renewal() {
    let site = Site::start().await;
    let lease = site.lease().await;
    for (fields, expected) in [
        (json!({"ttl": 60, "max_ttl": 600}), (60, 600)),
        // Never beyond what the lease began with, which is not forgotten.
        (json!({"ttl": 90000, "max_ttl": 90000}), (7200, 7200)),
        (json!({"ttl": 0, "max_ttl": 0}), (3600, 7200)),
    ] {
        let fields = fields.to_string();
        let reply = site.host.ask("update", "config/user/alice/example.org", &fields).await;
        assert_eq!(status(&reply), 200);
        let renewed = site.host.about_lease("renew", lease.clone()).await;
        let secret = renewed.response.unwrap().secret.unwrap();
        assert_eq!(secret.internal_data, lease.internal_data);
        let options = secret.lease_options.unwrap();
        assert_eq!((seconds(options.ttl), seconds(options.max_ttl)), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_homeserver_does_not_tell_that_a_session_has_ended() {
    let site = Site::start().await;
    let lease = site.lease().await;
    let static_session = data(&site.host.ask("read", STATIC, "{}").await);
    let other = FakeHomeserver::start().await;
    let fields = json!({"cs_url": other.url}).to_string();
    let reply = site.host.ask("update", "config/homeserver/example.org", &fields).await;
    assert_eq!(status(&reply), 200);
    assert_eq!(status(&site.host.about_lease("renew", lease.clone()).await), 200);
    assert_eq!(data(&site.host.ask("read", STATIC, "{}").await), static_session);
    site.homeserver.state.fails_logouts.store(true, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", lease.clone()).await), 200);
    assert_eq!((site.host.stored("pending/").len(), site.homeserver.sessions()), (1, 2));
    site.homeserver.state.fails_logouts.store(false, Ordering::Relaxed);
    assert_eq!(status(&site.host.about_lease("revoke", lease.clone()).await), 200);
    assert_eq!(site.homeserver.sessions(), 1);
    assert_eq!(status(&site.host.about_lease("renew", lease).await), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_none_is_an_error_that_hosts_try_again() {
    let site = Site::start().await;
    let lease = site.lease().await;
    let newer = lease.internal_data.replace("\"version\":1", "\"version\":2");
    let odd = lease.internal_data.replace("\"ttl_ms\":", "\"ttl_ms\":-");
    let all = ["", "{}", "null", "[]", "{", "syt_", r#"{"version":1}"#, r#"{"version":-1}"#];
    for internal_data in all.into_iter().chain([&*newer, &odd]) {
        let internal_data = internal_data.to_owned();
        let secret = Secret { internal_data, ..lease.clone() };
        for operation in ["renew", "revoke"] {
            let reply = site.host.about_lease(operation, secret.clone()).await;
            assert_eq!(status(&reply), 500);
            assert!(!error(&reply).contains("syt_"));
        }
    }
    for data in ["{}", "[]", "{", "garbage"] {
        assert_eq!(status(&site.host.ask("revoke", "", data).await), 500, "{data}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_holds_much_ends() {
    let site = Site::start().await;
    let secret = Some(site.lease().await);
    let data = json!({"access_token": "x".repeat(100_000)}).to_string();
    for operation in ["renew", "revoke"] {
        let request = request(operation, "", data.as_bytes());
        let request = HostRequest { secret: secret.clone(), ..request };
        let reply = site.host.handle("mount", request).await.unwrap();
        assert_eq!(status(&reply), 200, "{operation}");
    }
    assert_eq!(site.homeserver.sessions(), 0);
}
