//! What a server answered.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use url::Url;
use zeroize::Zeroizing;

/// Room for a body whose length is not announced.
const ROOM_UNLESS_ANNOUNCED: usize = 4096;

/// What a server answered, whatever its status. The body is wiped on drop.
pub struct ServerResponse {
    /// The status of the answer.
    pub status: StatusCode,
    /// The whole body.
    pub body: Zeroizing<Vec<u8>>,
    /// Where a redirect leads. Relative ones are resolved against the URL that was asked for.
    pub location: Option<Url>,
    /// How long the server asks us to wait, from `Retry-After` in seconds. A date there is ignored.
    pub retry_after: Option<Duration>,
    /// What the server's clock says, in seconds since 1970, from `Date`.
    pub date: Option<u64>,
    /// All headers.
    pub headers: HeaderMap,
}

/// Why a body cannot be read.
pub enum BodyError {
    /// The connection broke.
    Broken(reqwest::Error),
    /// It is longer than this many bytes.
    TooLong(usize),
}

impl ServerResponse {
    /// Reads an answer to a request for `url`, with a body of at most `longest` bytes.
    ///
    /// # Errors
    /// When the body is longer, or the connection breaks.
    pub(super) async fn read(
        mut response: reqwest::Response,
        url: &Url,
        longest: usize,
    ) -> Result<Self, BodyError> {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = read_body(response, longest).await?;
        Ok(Self {
            status,
            body,
            location: text_of(&headers, &LOCATION).and_then(|target| url.join(target).ok()),
            retry_after: retry_after(&headers),
            date: date(&headers),
            headers,
        })
    }
}

async fn read_body(
    mut response: reqwest::Response,
    longest: usize,
) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > longest {
        return Err(BodyError::TooLong(longest));
    }
    // Room from the start, so that growing leaves no copies behind; not more, as all is wiped.
    let room = if announced > 0 { announced } else { ROOM_UNLESS_ANNOUNCED };
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len().saturating_add(chunk.len()) > longest {
            return Err(BodyError::TooLong(longest));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    text_of(headers, &RETRY_AFTER)?.trim().parse().ok().map(Duration::from_secs)
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date = httpdate::parse_http_date(text_of(headers, &DATE)?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
