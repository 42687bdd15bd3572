//! What a server answered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use url::Url;
use zeroize::Zeroizing;

/// Room for a body whose length is not announced.
const ROOM_UNLESS_ANNOUNCED: usize = 4096;

/// The longest time that a server can ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a server answered, whatever its status. The body is wiped on drop.
pub struct ServerResponse {
    /// The status of the answer.
    pub status: StatusCode,
    /// The whole body.
    pub body: Zeroizing<Vec<u8>>,
    /// Where a redirect leads. Relative ones are resolved against the URL that was asked for.
    pub location: Option<Url>,
    /// How long the server asks us to wait, from `Retry-After`: seconds, or a date, which counts from
    /// the server's own `Date`. At most a year, so that no addition of times overflows.
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

/// <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text_of(headers, &RETRY_AFTER)?.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        let now = date(headers).and_then(|now| UNIX_EPOCH.checked_add(Duration::from_secs(now)));
        until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date = httpdate::parse_http_date(text_of(headers, &DATE)?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        const NOW: &str = "Sat, 28 Nov 2026 10:00:00 GMT";
        for (retry_after, date, seconds) in [
            ("30", None, Some(30)),
            (" 0 ", Some(NOW), Some(0)),
            ("Sat, 28 Nov 2026 10:00:30 GMT", Some(NOW), Some(30)),
            ("Saturday, 28-Nov-26 10:01:00 GMT", Some(NOW), Some(60)),
            // One that has passed, also by our own clock.
            ("Sat, 28 Nov 2026 09:00:00 GMT", Some(NOW), Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None, Some(0)),
            ("18446744073709551615", None, Some(LONGEST_WAIT.as_secs())),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some("nonsense"), Some(LONGEST_WAIT.as_secs())),
            ("soon", Some(NOW), None),
            ("-1", Some(NOW), None),
            ("", None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            let wait = super::retry_after(&headers);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{retry_after}");
        }
    }
}
