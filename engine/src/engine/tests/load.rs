//! How much is asked of a homeserver, and of one that hangs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::site::{LOGOUT, Site, WHO_AM_I, eventually};
use crate::plugin::testing::{HostRequest, data, request, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_gets_32_requests_at_once_at_most() {
    let site = Site::start().await;
    // Whatever configuration they go by.
    let lease = site.lease().await;
    site.homeserver.hold(WHO_AM_I);
    let renew = || site.host.about_lease("renew", lease.clone());
    let first = futures_util::future::join_all((0..40).map(|_| renew()));
    let others = async {
        eventually(|| site.homeserver.count(WHO_AM_I) == 32).await;
        site.configure_other_timeout();
        let renewing = futures_util::future::join_all((0..8).map(|_| renew()));
        let release = async {
            // More would be asked meanwhile.
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(site.homeserver.count(WHO_AM_I), 32);
            site.homeserver.release();
        };
        tokio::join!(renewing, release).0
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first.iter().chain(&others).all(|reply| status(reply) == 200));
    assert_eq!(site.homeserver.count(WHO_AM_I), 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mounts_of_a_process_share_what_a_homeserver_gets_at_once() {
    let site = Site::start().await;
    assert_eq!(site.host.set_up("other").await, "");
    // One of them writes the address otherwise.
    let lease = site.lease().await;
    site.homeserver.hold(WHO_AM_I);
    let renew = |mount: &'static str| {
        let request = HostRequest { secret: Some(lease.clone()), ..request("renew", "", b"{}") };
        site.host.handle(mount, request)
    };
    let first = futures_util::future::join_all((0..20).map(|_| renew("mount")));
    let others = async {
        eventually(|| site.homeserver.count(WHO_AM_I) == 20).await;
        site.configure(json!({"cs_url": format!("{}/", site.homeserver.url)})).await;
        let renewing = futures_util::future::join_all((0..20).map(|_| renew("other")));
        let release = async {
            eventually(|| site.homeserver.count(WHO_AM_I) == 32).await;
            // More would be asked meanwhile.
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(site.homeserver.count(WHO_AM_I), 32);
            site.homeserver.release();
        };
        tokio::join!(renewing, release).0
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first.iter().chain(&others).all(|reply| status(reply.as_ref().unwrap()) == 200));
    assert_eq!(site.homeserver.count(WHO_AM_I), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn trying_a_homeserver_out_is_one_request_at_once() {
    let site = Site::start().await;
    let lease = site.lease().await;
    site.homeserver.hold(WHO_AM_I);
    let renewing = futures_util::future::join_all(
        (0..31).map(|_| site.host.about_lease("renew", lease.clone())),
    );
    let configure = async {
        eventually(|| site.homeserver.count(WHO_AM_I) == 31).await;
        site.homeserver.state.most_at_once.store(0, Ordering::Relaxed);
        site.configure(json!({})).await;
        assert_eq!(site.homeserver.state.most_at_once.load(Ordering::Relaxed), 32);
        site.homeserver.release();
    };
    tokio::join!(renewing, configure);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_that_hangs_for_one_mount_hangs_for_all() {
    let site = Site::start().await;
    assert_eq!(site.host.set_up("other").await, "");
    let lease = site.lease().await;
    site.configure(json!({"request_timeout": "500ms"})).await;
    site.hang(true);
    for mount in ["mount", "other"] {
        let request = HostRequest { secret: Some(lease.clone()), ..request("revoke", "", b"{}") };
        assert_eq!(status(&site.host.handle(mount, request).await.unwrap()), 200);
    }
    // The second one went straight to those that are pending.
    assert_eq!(site.homeserver.count(LOGOUT), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_wait_for_one_that_hangs_do_not_ask() {
    let site = Site::start().await;
    let lease = site.lease().await;
    site.configure(json!({"request_timeout": "500ms"})).await;
    site.hang(true);
    let renewing = (0..96).map(|_| site.host.about_lease("renew", lease.clone()));
    let replies = futures_util::future::join_all(renewing).await;
    assert!(replies.iter().all(|reply| status(reply) == 200));
    assert!(site.homeserver.count(WHO_AM_I) <= 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_takes_no_connection_hangs() {
    let site = Site::start().await;
    let leases = [site.lease().await, site.lease().await];
    // Nobody accepts, so that the queue is full.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let time = Duration::from_millis(100);
    while let Ok(taken) = timeout(time, tokio::net::TcpStream::connect(address)).await {
        queue.push(taken.unwrap());
    }
    let url = format!("http://{address}");
    let fields = json!({"cs_url": url, "request_timeout": "500ms"}).to_string();
    let reply = site.host.ask("update", "config/homeserver/example.org", &fields).await;
    assert_eq!(status(&reply), 200);
    for lease in leases {
        assert_eq!(status(&site.host.about_lease("revoke", lease).await), 200);
    }
    let listed = data(&site.host.ask("list", "pending/", "{}").await);
    let infos = listed["key_info"].as_object().unwrap();
    let left_alone =
        infos.values().filter(|info| info["reason"].as_str().unwrap().contains("a moment ago"));
    assert!(infos.len() == 2 && left_alone.count() >= 1, "{listed}");
}
