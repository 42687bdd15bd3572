use super::*;

const ENDS: &str = "The module's Vault token ends in ";

#[tokio::test(start_paused = true)]
async fn a_token_that_can_be_renewed_is() {
    let stage = Stage::with_given(Entry::new(hours(768)));
    stage.watch();
    sleep(hours(10_000)).await;
    stage.read().await.unwrap();
    // After 60 to 67 per cent of its time, each time.
    let renewals = stage.sent(RequestKind::RenewSelf).len();
    assert!((19..=22).contains(&renewals), "{renewals} renewals");
    assert_eq!(stage.sent(RequestKind::LookupSelf).len(), 1);
    assert!(stage.notices.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_found_in_its_last_moments_is_renewed() {
    let stage = Stage::with_given(Entry { end: Some(seconds(2)), ..Entry::new(hours(1)) });
    stage.watch();
    sleep(hours(5)).await;
    stage.read().await.unwrap();
    assert!(stage.noticed(Level::Error).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_announced_a_day_before_its_end_and_then_every_hour() {
    let stage = Stage::with_given(Entry { renewable: false, ..Entry::new(hours(26)) });
    stage.watch();
    sleep(seconds(2 * 3600 - 1)).await;
    assert!(stage.notices.lock().is_empty());
    sleep(hours(23)).await;
    let [(at, text)] = &stage.noticed(Level::Warning)[..] else { panic!("one warning") };
    assert_eq!(*at, hours(2));
    assert!(text.starts_with(&format!("{ENDS}1day")), "{text}");
    assert!(text.contains("put a new one into vault_token"), "{text}");
    assert_eq!(stage.noticed(Level::Error).len(), 22);
    assert!(stage.sent(RequestKind::RenewSelf).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_at_its_maximum_is_announced_and_renewed_no_more() {
    // Vault calls it renewable to its end.
    let last = Entry { last_day: Some(seconds(25)), ..Entry::new(seconds(25)) };
    let stage = Stage::with_given(last);
    stage.watch();
    sleep(seconds(24)).await;
    let warnings = stage.noticed(Level::Warning);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].1.starts_with(ENDS) && !warnings[0].1.contains(" 0s"), "{warnings:?}");
    assert_eq!(stage.sent(RequestKind::RenewSelf).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_token_is_an_error_that_says_what_to_do() {
    let stage = Stage::with_given(Entry { renewable: false, ..Entry::new(seconds(4)) });
    stage.watch();
    sleep(hours(1)).await;
    let errors = stage.noticed(Level::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let (at, text) = &errors[0];
    assert!((seconds(4)..seconds(6)).contains(at), "{at:?}");
    assert!(text.contains("Vault does not accept the module's token any more"), "{text}");
    assert!(text.contains("put a new one into vault_token"), "{text}");
    stage.read().await.err().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_somebody_else_renews_is_not_given_up() {
    let stage = Stage::with_given(Entry { renewable: false, ..Entry::new(hours(1)) });
    stage.watch();
    for _ in 0..48 {
        sleep(seconds(1800)).await;
        let at = stage.elapsed();
        stage.change(|entry| entry.renew(at));
    }
    stage.read().await.unwrap();
    assert!(stage.noticed(Level::Error).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_somebody_else_renewed_while_vault_was_away_is_found_alive_again() {
    let stage = Stage::with_given(Entry { renewable: false, ..Entry::new(seconds(12)) });
    stage.watch();
    sleep(seconds(1)).await;
    stage.vault.on("", LOOKUP, [refusal(503)]);
    stage.change(|entry| entry.end = Some(hours(30)));
    sleep(seconds(60)).await;
    let errors = stage.noticed(Level::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].1.contains("503"), "{errors:?}");
    let tokens = Arc::clone(&stage.tokens);
    stage.vault.on_each("", LOOKUP, move |sent| {
        tokens.lock().get_mut("t").unwrap().answer(LOOKUP, sent.at)
    });
    sleep(seconds(31)).await;
    let infos = stage.noticed(Level::Info);
    assert_eq!(infos.len(), 1, "{infos:?}");
    assert!(infos[0].1.contains("accepts the module's token again"), "{infos:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_may_not_look_itself_up_is_asked_again_at_least_every_hour() {
    let stage = Stage::with_given(Entry { may_look_up: false, ..Entry::new(hours(768)) });
    stage.watch();
    sleep(hours(5)).await;
    let infos = stage.noticed(Level::Info);
    assert_eq!(infos.len(), 1, "{infos:?}");
    assert!(infos[0].1.contains("not renewed and its end is not announced"), "{infos:?}");
    let lookups = stage.sent(RequestKind::LookupSelf);
    assert!(lookups[1] >= seconds(9) && lookups[1] <= seconds(10), "{lookups:?}");
    assert!(waits(&lookups).into_iter().all(|wait| wait <= hours(1)), "{lookups:?}");
    // Ten seconds, doubling to an hour: nine of them in the first hour and a half.
    assert!((10..=16).contains(&lookups.len()), "{lookups:?}");
    stage.change(|entry| entry.may_look_up = true);
    sleep(hours(10_000)).await;
    stage.read().await.unwrap();
    assert_eq!(stage.noticed(Level::Info).len(), 2);
    assert!(stage.noticed(Level::Error).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_client_error_ends_neither_the_first_look_up_nor_renewals() {
    let page = |status| Reply::text(status, "text/html", "<html>".to_owned());
    for path in [LOOKUP, RENEWAL] {
        for (status, reply) in [
            (400, refusal(400)),
            (403, refusal(403)),
            (404, refusal(404)),
            (403, page(403)),
            (200, page(200)),
        ] {
            let stage = Stage::with_given(Entry::new(hours(24)));
            stage.vault.on("", path, [reply]);
            stage.watch();
            sleep(hours(20)).await;
            let tokens = Arc::clone(&stage.tokens);
            stage.vault.on_each("", path, move |sent| {
                tokens.lock().get_mut("t").unwrap().answer(path, sent.at)
            });
            sleep(hours(1000)).await;
            stage.read().await.unwrap_or_else(|error| panic!("{path} {status}: {error}"));
            // It is said once, and once that it works again.
            let notices = stage.notices.lock();
            assert_eq!(notices.len(), 2, "{notices:?}");
            assert!(notices[0].1.text.contains(&status.to_string()), "{notices:?}");
            assert_eq!(notices[1].1.level, Level::Info, "{notices:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_renewals_are_tried_again_after_ten_seconds_up_to_five_minutes() {
    let stage = Stage::with_given(Entry::new(hours(100)));
    stage.vault.on("", RENEWAL, [refusal(403)]);
    stage.watch();
    sleep(hours(80)).await;
    let tries = stage.sent(RequestKind::RenewSelf);
    let waits = waits(&tries);
    let (first, last) = (waits[0], waits[waits.len() - 1]);
    assert!(first >= seconds(9) && first <= seconds(10), "{first:?}");
    assert!(waits.into_iter().all(|wait| wait <= seconds(300)), "{tries:?}");
    assert!(last >= seconds(270), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn refused_renewals_are_tried_more_often_as_the_end_comes_near_and_it_is_announced() {
    let stage = Stage::with_given(Entry::new(seconds(60)));
    stage.vault.on("", RENEWAL, [refusal(403)]);
    stage.watch();
    sleep(seconds(59)).await;
    let tries = stage.sent(RequestKind::RenewSelf);
    for (at, wait) in tries.iter().zip(waits(&tries)) {
        let left = seconds(60).saturating_sub(*at);
        let most = left.mul_f64(0.1).max(Duration::from_millis(500)) + Duration::from_millis(2);
        assert!(wait <= most, "{wait:?} at {at:?}");
    }
    let warnings = stage.noticed(Level::Warning);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].1.contains("was not renewed"), "{warnings:?}");
    assert!(warnings[1].1.starts_with(ENDS), "{warnings:?}");
    assert!(warnings[1].0 >= seconds(54), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_asks_to_wait_is_obeyed() {
    let stage = Stage::with_given(Entry::new(seconds(600)));
    stage.vault.on("", RENEWAL, [refusal(400).with_header("retry-after", "30")]);
    stage.watch();
    sleep(seconds(560)).await;
    let tries = stage.sent(RequestKind::RenewSelf);
    assert!(tries.len() > 3, "{tries:?}");
    assert!(waits(&tries).into_iter().all(|wait| wait >= seconds(30)), "{tries:?}");
}
