//! The least that asking Vault costs in Rust: reqwest in a loop, and nothing around it.
//!
//! `benches/lookup.py` runs it. It takes the URL of an entry as its argument and the token from
//! `VAULT_TOKEN`, then commands from standard input, and answers each with one number:
//! `one COUNT` sends requests one after the other and answers with their median time in
//! microseconds, `many COUNT IN_FLIGHT` keeps some under way and answers with requests a second.

use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use tokio::task::JoinSet;

const X_VAULT_TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Entry {
    http: Client,
    url: Url,
    token: HeaderValue,
}

impl Entry {
    async fn read(&self) -> Outcome<()> {
        let mut request = Request::new(Method::GET, self.url.clone());
        request.headers_mut().insert(X_VAULT_TOKEN, self.token.clone());
        self.http.execute(request).await?.error_for_status()?.bytes().await?;
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let url = std::env::args().nth(1);
    let entry = Arc::new(Entry {
        http: Client::builder().no_proxy().tls_certs_only([]).build()?,
        url: Url::parse(&url.ok_or("give the URL of an entry")?)?,
        token: HeaderValue::try_from(std::env::var("VAULT_TOKEN")?)?,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = match words.as_slice() {
            ["one", count] => runtime.block_on(one(&entry, count.parse()?))?,
            ["many", count, in_flight] => {
                runtime.block_on(many(&entry, count.parse()?, in_flight.parse()?))?
            }
            _ => return Err(format!("unknown command: {line}").into()),
        };
        println!("{number}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

async fn one(entry: &Entry, count: usize) -> Outcome<f64> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        entry.read().await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(median.as_secs_f64() * 1e6)
}

async fn many(entry: &Arc<Entry>, count: usize, in_flight: usize) -> Outcome<f64> {
    let begun = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut readers = JoinSet::new();
    for _ in 0..in_flight {
        let (entry, begun) = (Arc::clone(entry), Arc::clone(&begun));
        readers.spawn(async move {
            while begun.fetch_add(1, Ordering::Relaxed) < count {
                entry.read().await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader??;
    }
    let count = f64::from(u32::try_from(count)?);
    Ok(count / started.elapsed().as_secs_f64())
}
