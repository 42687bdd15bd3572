use super::*;

#[tokio::test(start_paused = true)]
async fn no_read_is_lost_while_tokens_end() {
    let short = Entry { last_day: Some(seconds(9)), ..Entry::new(seconds(4)) };
    let stage = Stage::with_login(short);
    stage.watch();
    for _ in 0..200 {
        sleep(Duration::from_millis(500)).await;
        stage.read().await.unwrap();
    }
    // No token died in use: nothing was checked after a 403.
    assert!(stage.sent(RequestKind::LookupSelf).is_empty());
    let renewals = stage.sent(RequestKind::RenewSelf).len();
    assert!((10..=25).contains(&stage.logins()), "{} logins", stage.logins());
    assert!(stage.logins() <= renewals, "{} logins, {renewals} renewals", stage.logins());
    assert!(stage.noticed(Level::Error).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_after_a_pause_longer_than_a_token_lives() {
    let short = Entry { last_day: Some(seconds(9)), ..Entry::new(seconds(4)) };
    let stage = Stage::with_login(short);
    stage.watch();
    stage.read().await.unwrap();
    sleep(seconds(3600)).await;
    stage.read().await.unwrap();
    assert!(stage.sent(RequestKind::LookupSelf).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_after_the_process_stood_still_for_longer_than_a_token_lives() {
    // Nobody watches, as while the process is suspended.
    let stage = Stage::with_login(Entry::new(seconds(4)));
    stage.read().await.unwrap();
    sleep(seconds(60)).await;
    stage.read().await.unwrap();
    assert_eq!(stage.logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_replaced_before_its_end() {
    let stage = Stage::with_login(Entry { renewable: false, ..Entry::new(hours(1)) });
    stage.watch();
    sleep(hours(10)).await;
    stage.read().await.unwrap();
    assert!(stage.logins() > 10);
    assert!(stage.sent(RequestKind::RenewSelf).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_is_away_is_waited_for_and_that_is_said_once() {
    let stage = Stage::with_login(Entry::new(hours(1)));
    stage.vault.on("", LOGIN, [Reply::unreachable()]);
    stage.watch();
    sleep(hours(1)).await;
    let tries = stage.logins();
    assert!((120..600).contains(&tries), "{tries} logins in an hour");
    assert_eq!(stage.noticed(Level::Error).len(), 1);
    stage.grant(Entry::new(hours(1)));
    sleep(seconds(31)).await;
    let [(_, text)] = &stage.noticed(Level::Info)[..] else { panic!("one line") };
    assert_eq!(text, "Vault accepts the module's token again");
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_asks_to_wait_is_obeyed_in_the_background() {
    let stage = Stage::with_login(Entry::new(hours(1)));
    let limited = Reply::errors(429, &["limit"]).with_header("retry-after", "30");
    stage.vault.on("", LOGIN, [limited.clone()]);
    stage.watch();
    sleep(seconds(300)).await;
    assert!(stage.logins() <= 10, "{} logins", stage.logins());

    stage.grant(Entry::new(hours(1)));
    sleep(seconds(60)).await;
    stage.vault.forget_sent();
    stage.vault.on("", RENEWAL, [limited]);
    sleep(hours(1)).await;
    let renewals = stage.sent(RequestKind::RenewSelf);
    assert!(renewals.len() > 2);
    assert!(waits(&renewals).into_iter().all(|wait| wait >= seconds(30)), "{renewals:?}");
}
