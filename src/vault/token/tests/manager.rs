use super::*;

#[tokio::test(start_paused = true)]
async fn many_reads_with_a_dead_token_cause_one_login() {
    let stage = Stage::with_login(Entry::new(hours(1)));
    stage.read().await.unwrap();
    stage.revoke_all();
    assert!(stage.read_at_once(30).await.iter().all(Result::is_ok));
    assert_eq!(stage.logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_refuses_is_no_reason_to_log_in_again() {
    let stage = Stage::with_login(Entry { may_read: false, ..Entry::new(hours(1)) });
    for _ in 0..10 {
        let error = stage.read().await.err().unwrap();
        assert!(matches!(error, VaultError::Denied { .. }), "{error}");
    }
    for error in stage.read_at_once(10).await.into_iter().filter_map(Result::err) {
        assert!(matches!(error, VaultError::Denied { .. }), "{error}");
    }
    assert_eq!(stage.logins(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_fixed_is_enough() {
    let stage = Stage::with_login(Entry { may_read: false, ..Entry::new(hours(1)) });
    stage.read().await.err().unwrap();
    stage.change(|entry| entry.may_read = true);
    stage.read().await.unwrap();
    assert_eq!(stage.logins(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_get_nothing_but_403_are_replaced_once_in_30_seconds() {
    let dead_looking = Entry { may_read: false, may_look_up: false, ..Entry::new(hours(1)) };
    let stage = Stage::with_login(dead_looking);
    // As long as it takes: a read each second.
    for _ in 0..60 {
        let error = stage.read().await.err().unwrap();
        assert!(matches!(error, VaultError::TokenRefused { .. }), "{error}");
        assert!(error.to_string().contains("token_bound_cidrs"), "{error}");
        sleep(seconds(1)).await;
    }
    // At the beginning, and two replacements.
    assert_eq!(stage.logins(), 3);
    // What is fixed at Vault works at once, with the token that there is.
    stage.change(|entry| entry.may_read = true);
    stage.read().await.unwrap();
    assert_eq!(stage.logins(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_worked_is_replaced_at_once_however_often_it_dies() {
    let stage = Stage::with_login(Entry { may_look_up: false, ..Entry::new(hours(1)) });
    for _ in 0..10 {
        stage.read().await.unwrap();
        stage.revoke_all();
    }
    assert_eq!(stage.logins(), 10);
}

#[tokio::test(start_paused = true)]
async fn no_read_is_lost_to_tokens_that_are_good_for_few_requests() {
    for is_told in [true, false] {
        let stage = Stage::with_login(Entry { uses: Some(5), ..Entry::new(hours(1)) });
        if !is_told {
            // As by a Vault that does not tell: then each end is seen by a 403.
            let granted = Arc::clone(&stage.tokens);
            stage.vault.on_each("", LOGIN, move |sent: &Sent| {
                let mut tokens = granted.lock();
                let token = format!("t{}", tokens.len());
                let entry = Entry { uses: Some(5), end: None, ..Entry::new(hours(1)) };
                let reply = Entry { uses: None, ..entry.clone() }.auth(&token, sent.at);
                tokens.insert(token, entry);
                reply
            });
        }
        stage.watch();
        for _ in 0..5 {
            for result in stage.read_at_once(24).await {
                result.unwrap();
            }
        }
        assert_eq!(stage.logins() * 5, 120, "one login for five requests, told: {is_told}");
        if is_told {
            assert!(stage.sent(RequestKind::LookupSelf).is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_vault_refuses_is_not_repeated_for_five_seconds() {
    let stage = Stage::with_login(Entry::new(hours(1)));
    stage.vault.on("", LOGIN, [Reply::errors(400, &["invalid secret id"])]);
    for _ in 0..10 {
        let error = stage.read().await.err().unwrap();
        assert!(matches!(error, VaultError::LoginRefused { status: 400, .. }), "{error}");
    }
    assert_eq!(stage.logins(), 1);
    stage.grant(Entry::new(hours(1)));
    sleep(seconds(5)).await;
    stage.read().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_waits_for_a_second_factor_is_named() {
    let stage = Stage::with_login(Entry::new(hours(1)));
    let auth = json!({
        "client_token": "", "lease_duration": 0, "renewable": false,
        "mfa_requirement": {"mfa_request_id": "x", "mfa_constraints": {}},
    });
    stage.vault.on("", LOGIN, [Reply::json(200, json!({ "auth": auth }))]);
    let error = stage.read().await.err().unwrap();
    assert!(matches!(error, VaultError::LoginRefused { .. }), "{error}");
    assert!(error.to_string().contains("second factor"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_static_token_that_is_dead_is_an_error_that_says_what_to_do() {
    let stage = Stage::with_given(Entry::new(hours(1)));
    stage.read().await.unwrap();
    stage.revoke_all();
    let error = stage.read().await.err().unwrap();
    assert!(matches!(error, VaultError::TokenInvalid { .. }), "{error}");
    assert!(error.to_string().contains("put a new one into vault_token"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_static_token_that_never_worked_may_be_used_from_the_wrong_place() {
    let stage = Stage::with_given(Entry { end: Some(Duration::ZERO), ..Entry::new(hours(1)) });
    let error = stage.read().await.err().unwrap();
    assert!(matches!(error, VaultError::TokenRefused { .. }), "{error}");
    for cause in ["token_bound_cidrs", "vault_namespace", "vault_token"] {
        assert!(error.to_string().contains(cause), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_gets_requests_without_a_token_and_nothing_in_the_background() {
    let stage = Stage::new(TokenSource::Proxy);
    stage.vault.on("", READ, [Reply::errors(404, &[])]);
    stage.watch();
    sleep(hours(100)).await;
    stage.read().await.unwrap();
    let sent = stage.vault.sent();
    assert_eq!(
        sent.iter().map(|sent| sent.line.as_str()).collect::<Vec<_>>(),
        [format!("GET {READ}")]
    );
    assert!(sent.iter().all(|sent| sent.token.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_403_of_a_proxy_is_a_policys_or_comes_from_a_dead_token_in_its_cache() {
    let stage = Stage::new(TokenSource::Proxy);
    let error = stage.read().await.err().unwrap();
    assert!(matches!(error, VaultError::TokenInvalid { .. }), "{error}");
    assert!(error.to_string().contains("dead token from its cache"), "{error}");
    stage.vault.on("", MOUNT, [Reply::mount("kv/deep", 2)]);
    sleep(seconds(1)).await;
    let error = stage.read().await.err().unwrap();
    assert!(matches!(error, VaultError::Denied { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_others_can_reach_is_a_warning() {
    for (address, warnings) in
        [("http://127.0.0.1:8100", 0), ("unix:///run/proxy.sock", 0), ("http://proxy:8100", 1)]
    {
        let vault = FakeVault::new();
        let log = Arc::<Mutex<Vec<Notice>>>::default();
        let sink = Arc::clone(&log);
        let notices = Notices::new(move |notice| sink.lock().push(notice));
        let config = Config { token_source: TokenSource::Proxy, ..Config::of_test(address) };
        let client = Client::with_transport(&config, notices, vault.transport());
        tokio::spawn(client.watch());
        sleep(seconds(1)).await;
        assert_eq!(log.lock().len(), warnings, "{address}");
    }
}
