//! Files that change, on virtual time.

use std::path::PathBuf;

use tokio::time::advance;

use super::super::config::{Authorities, IdentityFiles};
use super::super::files::{IdentityContent, TlsPart};
use super::*;

const FIRST: &str = include_str!("../../../../tests/vectors/tls/first.pem");
const SECOND: &str = include_str!("../../../../tests/vectors/tls/second.pem");
const KEY: &str = include_str!("../../../../tests/vectors/tls/key.pem");
const OTHER_KEY: &str = include_str!("../../../../tests/vectors/tls/other-key.pem");

/// Files that a test changes, and what was said.
struct Files {
    authorities: Mutex<Result<String, TlsFileError>>,
    key: Mutex<&'static str>,
    reads: Mutex<u32>,
    said: Mutex<Vec<String>>,
}

fn content(files: &Files) -> Result<TlsFiles, TlsFileError> {
    *files.reads.lock() += 1;
    let authorities = files.authorities.lock().clone()?.into_bytes();
    Ok(TlsFiles {
        authorities: vec![(PathBuf::from("/ca.pem"), authorities)],
        identity: Some(IdentityContent {
            certificate: FIRST.into(),
            key: zeroize::Zeroizing::new(files.key.lock().as_bytes().to_vec()),
        }),
    })
}

fn store() -> (Arc<TlsStore>, Arc<Files>) {
    store_with(|files| {
        Box::new(move || {
            let read = content(&files).map_err(|error| error.to_string());
            Box::pin(std::future::ready(read))
        })
    })
}

fn store_with(read: impl FnOnce(Arc<Files>) -> Read) -> (Arc<TlsStore>, Arc<Files>) {
    let tls = Tls {
        authorities: Authorities::File("/ca.pem".into()),
        identity: Some(IdentityFiles { certificate: "/c".into(), key: "/k".into() }),
        ..Tls::default()
    };
    let files = Arc::new(Files {
        authorities: Mutex::new(Ok(FIRST.to_owned())),
        key: Mutex::new(KEY),
        reads: Mutex::new(0),
        said: Mutex::default(),
    });
    let notices = {
        let files = Arc::clone(&files);
        Notices::new(move |notice| files.said.lock().push(notice.text))
    };
    let first = version(&tls, true, 0, &content(&files).unwrap()).unwrap();
    let read = read(Arc::clone(&files));
    (TlsStore::with(&tls, true, notices, first, read), files)
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_taken_when_two_looks_a_second_apart_agree() {
    let (store, files) = store();
    store.watch();
    seconds(9).await;
    *files.authorities.lock() = Ok(FIRST.to_owned() + SECOND);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(store.current().number, 0);
    seconds(1).await;
    assert_eq!(store.current().number, 1);
    // Only the authorities have changed.
    assert_eq!(*store.identity_changes().borrow(), 0);
    assert!(files.said.lock().join("").contains("have changed: new connections use"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_is_waited_for() {
    let (store, files) = store();
    let looking = store.look_again(0, Instant::now());
    let writing = async {
        // Whole certificates, so that only the next look tells that more are coming.
        for (at, content) in [(0, SECOND.to_owned()), (700, SECOND.repeat(2))] {
            sleep(Duration::from_millis(at)).await;
            *files.authorities.lock() = Ok(content);
        }
    };
    let ((), is_new) = tokio::join!(writing, looking);
    assert!(is_new);
    let whole = content(&files).unwrap().digest();
    assert_eq!(store.current().digest, whole);
    assert_eq!(store.current().number, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_leaves_what_was_good_and_is_told() {
    let (store, files) = store();
    store.watch();
    let cut_off = SECOND.get(..SECOND.len() / 2).unwrap();
    for (wrong, told) in [
        (Ok(FIRST.to_owned() + cut_off), "a certificate that is cut off"),
        (Ok(String::new()), "no certificate in PEM"),
        (
            Err(TlsFileError::new(TlsPart::Authorities, "cannot read /ca.pem: gone")),
            "cannot read /ca.pem",
        ),
    ] {
        *files.authorities.lock() = wrong;
        seconds(40).await;
        assert_eq!(store.current().number, 0);
        let said = std::mem::take(&mut *files.said.lock());
        assert!(said.len() == 1 && said[0].contains(told), "{said:?}");
        assert!(said[0].contains("going on with what they held before"), "{said:?}");
    }
    *files.authorities.lock() = Ok(SECOND.to_owned());
    seconds(20).await;
    assert_eq!(store.current().number, 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_does_not_fit_yet_is_waited_for() {
    let (store, files) = store();
    store.watch();
    *files.key.lock() = OTHER_KEY;
    seconds(20).await;
    assert_eq!(store.current().number, 0);
    let said = std::mem::take(&mut *files.said.lock());
    assert!(said.len() == 1 && said[0].contains("its key cannot be used"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn another_certificate_of_ours_is_announced() {
    let (store, files) = store();
    let mut changes = store.identity_changes();
    // The same key, with a line more.
    *files.key.lock() = Box::leak(format!("{KEY}\n").into_boxed_str());
    assert!(store.look_again(0, Instant::now()).await);
    changes.changed().await.unwrap();
    assert_eq!(*changes.borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_who_meet_a_certificate_error_look_once() {
    let (store, files) = store();
    seconds(1).await;
    let since = Instant::now();
    let before = *files.reads.lock();
    seconds(1).await;
    let looks = (0..100).map(|_| store.look_again(0, since));
    let news = futures_util::future::join_all(looks).await;
    assert!(news.iter().all(|is_new| !is_new));
    assert_eq!(*files.reads.lock(), before + 1);
    // Those who ask later do not rely on that look.
    seconds(1).await;
    assert!(!store.look_again(0, Instant::now()).await);
    assert_eq!(*files.reads.lock(), before + 2);
}

/// Looks at files that hang, for as long as a read may take.
async fn look_in_vain(store: &TlsStore) {
    let wait = advance(Duration::from_millis(1001));
    assert!(!tokio::join!(store.look_again(0, Instant::now()), wait).0);
    advance(Duration::from_millis(1)).await;
}

/// Waits until the files were read so often, and fails if it is more.
fn wait_for(files: &Files, reads: u32) {
    while *files.reads.lock() < reads {
        std::thread::yield_now();
    }
    assert_eq!(*files.reads.lock(), reads);
}

#[tokio::test(start_paused = true)]
async fn files_that_hang_hold_one_thread_and_are_tried_again_after_ten_minutes() {
    // As on a server that is away: a read waits until the test drops the sender.
    let (server, answers) = std::sync::mpsc::channel::<()>();
    let answers = Arc::new(Mutex::new(answers));
    let (store, files) = store_with(|files| {
        limited(move || {
            let read = content(&files);
            let _ = answers.lock().recv();
            read
        })
    });
    look_in_vain(&store).await;
    // Those who look now go on at once, and hold no thread.
    for _ in 0..100 {
        advance(Duration::from_millis(1)).await;
        assert!(!store.look_again(0, Instant::now()).await);
    }
    // One read was the first of all, which did not hang.
    wait_for(&files, 2);
    let said = std::mem::take(&mut *files.said.lock());
    assert!(said.len() == 1 && said[0].contains("reading them takes too long"), "{said:?}");
    advance(Duration::from_secs(600)).await;
    look_in_vain(&store).await;
    wait_for(&files, 3);

    // The server is back, and so is what the files hold now.
    drop(server);
    *files.authorities.lock() = Ok(SECOND.to_owned());
    advance(Duration::from_secs(600)).await;
    while !store.look_again(0, Instant::now()).await {
        // The threads end in their own time.
        advance(Duration::from_millis(1)).await;
    }
    assert_eq!(store.current().number, 1);
}
