//! Says in the log, once after the start, that logins can be decided, or why they cannot.

use std::time::Duration;

use tokio::time::sleep;

use super::entry_reader::EntryReader;
use crate::notice::{Notices, Throttle};
use crate::retry::Backoff;
use crate::vault::{KvReader, VaultError, Version};

/// The waits between attempts, from the first, doubling up to the second.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Reads an entry that no user can have until Vault answers, and says then with which identity, and
/// where the secrets are. What keeps Vault from answering is said once.
///
/// While there is no token, it is for those who look after the token to say so.
pub async fn announce(reader: &EntryReader, notices: &Notices) {
    let kv = reader.kv();
    kv.client().token_accepted().await;
    let path = reader.path_of_nobody();
    let throttle = Throttle::once();
    let mut backoff = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT);
    loop {
        let error = match kv.check(&path).await {
            // The engine may have been mounted since Vault was asked for its version.
            Ok(()) if kv.known_version().is_none() && kv.ask_version().await => continue,
            Ok(()) => {
                return notices.info(format!(
                    "Vault at {} answered, and logins can be decided: the module's token {}; the \
                     secrets are below {} in {}",
                    kv.client().addresses(),
                    kv.client().token_description(),
                    reader.location(),
                    engine(kv)
                ));
            }
            Err(VaultError::Denied { .. }) => {
                return notices.warning(format!(
                    "No policy of the module's token covers {}, as a policy for all users does: \
                     check vault_path_root and the policy",
                    kv.api_path(&path)
                ));
            }
            Err(error) => error,
        };
        throttle.say(Some(kind_of(&error)), |_| {
            notices.error(format!("Logins cannot be decided yet: {error}"));
        });
        sleep(backoff.next_wait().max(error.retry_after().unwrap_or_default())).await;
    }
}

/// What an error is the repetition of: the addresses of a cluster take turns in not answering.
fn kind_of(error: &VaultError) -> String {
    if error.is_transient() { String::new() } else { error.to_string() }
}

fn engine(kv: &KvReader) -> &'static str {
    match kv.known_version() {
        Some(Version::V1) => "a KV engine of version 1",
        Some(Version::V2) => "a KV engine of version 2",
        None => "an engine that is taken for KV version 2",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::login::config::{CacheConfig, Config};
    use crate::notice::Notice;
    use crate::sync::Mutex;
    use crate::vault::auth::{AuthCredentials, AuthMethod};
    use crate::vault::fake::{FakeVault, Reply};
    use crate::vault::{self, AuthNamespace, Client, RequestKind, TokenSource};

    const LOOKUP: &str = "auth/token/lookup-self";
    const MOUNT: &str = "sys/internal/ui/mounts/kv/deep";
    const NOBODY: &str = "kv/deep/data/matrix/users/@:example.org";
    const MINUTE: Duration = Duration::from_secs(60);

    /// A module that has just started, and what it says.
    struct Started {
        vault: FakeVault,
        lines: Arc<Mutex<Vec<(Duration, String)>>>,
    }

    impl Started {
        /// What Vault answers is changed by `prepare` before the start, and the configuration.
        fn new(prepare: impl FnOnce(&FakeVault, &mut vault::Config)) -> Self {
            let vault = FakeVault::new();
            let mut config = vault::Config::of_test("http://v:8200");
            let token = json!({
                "ttl": 3600, "renewable": true, "expire_time": "then", "entity_id": "",
                "display_name": "token-synapse", "path": "auth/token/create",
            });
            vault.on("", LOOKUP, [Reply::data(&token)]);
            prepare(&vault, &mut config);
            let cache =
                CacheConfig { ttl: Duration::ZERO, stale_if_error: Duration::ZERO, max_entries: 1 };
            let config = Config {
                vault: config,
                login_timeout: Duration::from_secs(10),
                max_concurrent_lookups: 1,
                cache,
                rotation_grace: Duration::ZERO,
                allow_registration: false,
                mas: None,
            };
            let lines = Arc::<Mutex<Vec<_>>>::default();
            let (log, began) = (Arc::clone(&lines), Instant::now());
            let notices = Notices::new(move |Notice { level, text }| {
                log.lock().push((began.elapsed(), format!("{level:?} {text}")));
            });
            let client = Client::with_transport(&config.vault, notices.clone(), vault.transport());
            let server_name = "example.org".to_owned();
            let reader = Arc::new(EntryReader::new(client, config, server_name, notices.clone()));
            tokio::spawn(Arc::clone(&reader).keep_token_alive());
            tokio::spawn(async move { announce(&reader, &notices).await });
            Self { vault, lines }
        }

        /// The lines so far, without their times.
        fn said(&self) -> Vec<String> {
            self.lines.lock().iter().map(|(_, line)| line.clone()).collect()
        }
    }

    /// The line of a good start, with the token described so.
    fn good(token: &str) -> String {
        format!(
            "Info Vault at http://v:8200 answered, and logins can be decided: the module's token \
             {token}; the secrets are below kv/deep/matrix/users in a KV engine of version 2"
        )
    }

    /// What a line says without the time at which the token ends.
    fn without_time(line: &str) -> String {
        let (before, after) = line.split_once("ends at ").unwrap();
        format!("{before}ends{}", &after["2026-11-28T00:00:00Z".len()..])
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_start_is_said_once_with_all_that_is_known() {
        for asked in [false, true] {
            let started = Started::new(|vault, config| {
                vault.on("", MOUNT, [Reply::mount("kv/deep", 2)]);
                config.kv_version = config.kv_version.filter(|_| !asked);
            });
            sleep(10 * MINUTE).await;
            let said: Vec<String> = started.said().iter().map(|line| without_time(line)).collect();
            let token =
                "is \"token-synapse\" from auth/token/create, and ends, and is renewed before";
            assert_eq!(said, [good(token)]);
            assert_eq!(started.vault.sent_for(RequestKind::Read).len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_vault_that_is_away_is_an_error_and_what_follows_is_good() {
        let started = Started::new(|vault, _| vault.on("v", "", [Reply::unreachable()]));
        started.vault.on("", LOOKUP, [Reply::unreachable()]);
        sleep(10 * MINUTE).await;
        let said = started.said();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("Error The module has no Vault token to work with: cannot"));
        let root = json!({"ttl": 0, "renewable": false, "expire_time": null,
            "display_name": "root", "path": "auth/token/root", "entity_id": "e-1"});
        started.vault.on("", LOOKUP, [Reply::data(&root)]);
        sleep(10 * MINUTE).await;
        let token = "is \"root\" from auth/token/root, entity e-1, and has no end";
        let again = "Info Vault accepts the module's token again".to_owned();
        assert_eq!(started.said()[1..], [again, good(token)]);
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_cannot_be_read_are_an_error_until_they_can() {
        let started = Started::new(|vault, _| {
            vault.on("", NOBODY, [Reply::errors(503, &["sealed"])]);
        });
        sleep(10 * MINUTE).await;
        let said = started.said();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("Error Logins cannot be decided yet: Vault at"), "{said:?}");
        assert!(started.vault.sent_for(RequestKind::Read).len() < 100);
        started.vault.on("", NOBODY, [Reply::errors(404, &[])]);
        sleep(MINUTE).await;
        assert_eq!(started.said().len(), 2);
        assert!(started.said()[1].starts_with("Info Vault at http://v:8200 answered"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_that_no_policy_covers_is_a_warning() {
        let started = Started::new(|vault, _| {
            vault.on("", NOBODY, [Reply::errors(403, &["permission denied"])]);
        });
        sleep(10 * MINUTE).await;
        assert_eq!(
            started.said(),
            [format!(
                "Warning No policy of the module's token covers {NOBODY}, as a policy for all \
                 users does: check vault_path_root and the policy"
            )]
        );
        // Policies may name users one by one, so this is asked once.
        assert_eq!(started.vault.sent_for(RequestKind::Read).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_may_not_look_itself_up_is_good_as_well() {
        let started = Started::new(|vault, _| {
            vault.on("", LOOKUP, [Reply::errors(403, &["permission denied"])]);
            vault.on("", MOUNT, [Reply::mount("kv/deep", 2)]);
        });
        sleep(MINUTE).await;
        let said = started.said();
        assert_eq!(said[1..], [good("may not look itself up, so its end is not known")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_is_named_without_asking_for_more() {
        let started = Started::new(|vault, config| {
            let credentials = AuthCredentials::Cert { role: None };
            let mount = "certs".to_owned();
            let method = AuthMethod { mount, namespace: AuthNamespace::Configured, credentials };
            config.token_source = TokenSource::Login(method);
            let auth = json!({"auth": {
                "client_token": "hvs.s3cret", "lease_duration": 3600, "renewable": true,
                "entity_id": "e-1", "metadata": {"cert_name": "synapse", "odd": 1},
            }});
            vault.on("", "auth/certs/login", [Reply::json(200, auth)]);
        });
        sleep(MINUTE).await;
        let said: Vec<String> = started.said().iter().map(|line| without_time(line)).collect();
        let token = "is \"synapse\" from auth/certs/login, entity e-1, and ends, \
                     and is renewed or replaced before";
        assert_eq!(said, [good(token)]);
        assert!(started.vault.sent_for(RequestKind::LookupSelf).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_has_its_own_token() {
        let started = Started::new(|_, config| config.token_source = TokenSource::Proxy);
        sleep(MINUTE).await;
        let said = started.said();
        // The first line warns of a proxy that others reach.
        assert_eq!(said[1..], [good("is the proxy's own")]);
    }
}
