//! Requests to the hub: redirects followed by hand, answers of bounded size, and an end whenever it is asked for.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, DATE, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};
use tokio::runtime::{Builder, Runtime};

use super::settings::{Origin, Settings, shown};
use super::{Error, RepoName};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;
/// How often the wish for an end is looked at.
const POLL: Duration = Duration::from_millis(100);
/// The longest pause that the hub may ask for.
const MOST_PATIENCE: Duration = Duration::from_mins(10);

/// A line to the hub.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    settings: Settings,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// Worth another try, after this pause if the hub named one.
    Passing { reason: String, pause: Option<Duration> },
    /// It would fail again.
    Final(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Client {
    pub(super) fn new(settings: Settings) -> Result<Self, Error> {
        let failed = |reason: String| Error::Line { what: shown(&settings.endpoint), reason };
        // Somebody else in this process may have chosen already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("ggrun/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.patience)
            .build()
            .map_err(|error| failed(chain(&error)))?;
        // One thread for all lines, on which nothing is hashed or written, so that none looks stalled meanwhile.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        Ok(Self { http, settings, runtime: Some(runtime) })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs a request on this thread. Several threads may at once.
    pub(super) fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("only a drop takes it").block_on(request)
    }

    /// The page of a repository.
    pub(super) fn page(&self, repo: &RepoName) -> String {
        shown(&self.url([repo.id()]))
    }

    /// The hub's own address.
    pub(super) fn home(&self) -> String {
        shown(&self.settings.endpoint)
    }

    /// What is known of a repository at its revision.
    pub(super) fn listing_url(&self, repo: &RepoName) -> Url {
        let mut url = self.url(["api/models", repo.id(), "revision"]);
        // The slashes of a revision are part of its name here.
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.push(repo.revision());
        }
        url.set_query(Some("blobs=true"));
        url
    }

    /// A file of a repository at a commit.
    pub(super) fn file_url(&self, repo: &RepoName, commit: &str, file: &str) -> Url {
        self.url([repo.id(), "resolve", commit, file])
    }

    /// Who the token belongs to.
    pub(super) fn user_url(&self) -> Url {
        self.url(["api/whoami-v2"])
    }

    fn url<const N: usize>(&self, parts: [&str; N]) -> Url {
        let mut url = self.settings.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts.iter().flat_map(|part| part.split('/')));
        }
        url
    }

    /// Asks, and follows where the hub points to. `range` is bytes from, and up to if that is known. The token goes to
    /// the hub alone, and what is asked over TLS is answered over TLS.
    pub(super) async fn get(
        &self,
        what: &str,
        url: Url,
        range: Option<(u64, Option<u64>)>,
        stop: &AtomicBool,
    ) -> Result<Response, Fault> {
        let answer = self.ask(what, url, range, stop).await?;
        self.judge(what, answer)
    }

    /// The same, whatever the answer is.
    pub(super) async fn ask(
        &self,
        what: &str,
        mut url: Url,
        range: Option<(u64, Option<u64>)>,
        stop: &AtomicBool,
    ) -> Result<Response, Fault> {
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some((from, to)) = range {
                let to = to.map(|to| to.to_string()).unwrap_or_default();
                request = request.header(RANGE, format!("bytes={from}-{to}"));
            }
            let token = self.settings.token.as_ref().filter(|_| is_same(&url, &self.settings.endpoint));
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
            }
            let answer = self.until(stop, request.send()).await?.map_err(|error| passing(&error))?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let next = to.and_then(|to| url.join(to).ok()).filter(|next| may_follow(&url, next));
            let reason = || "a redirect to nowhere that may be asked".to_owned();
            url = next.ok_or_else(|| Error::Answer { what: what.to_owned(), reason: reason() })?;
        }
        let reason = format!("more than {MOST_REDIRECTS} redirects");
        Err(Error::Answer { what: what.to_owned(), reason }.into())
    }

    /// The next bytes of an answer; `None` at its end.
    pub(super) async fn more(
        &self,
        answer: &mut Response,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let piece = self.until(stop, answer.chunk()).await?.map_err(|error| passing(&error))?;
        Ok(piece.map(Into::into))
    }

    /// All of an answer, if it has no more than `most` bytes.
    pub(super) async fn all(
        &self,
        what: &str,
        mut answer: Response,
        most: usize,
        stop: &AtomicBool,
    ) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.more(&mut answer, stop).await? {
            if bytes.len() + piece.len() > most {
                let reason = format!("longer than {most} bytes");
                return Err(Error::Answer { what: what.to_owned(), reason }.into());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Waits for something to come, as long as it does and nobody wants an end.
    async fn until<T>(&self, stop: &AtomicBool, future: impl Future<Output = T>) -> Result<T, Fault> {
        let (mut future, begun) = (pin!(future), Instant::now());
        loop {
            match tokio::time::timeout(POLL, future.as_mut()).await {
                Ok(value) => return Ok(value),
                Err(_) if stop.load(Ordering::Relaxed) => return Err(Error::Stopped.into()),
                Err(_) if begun.elapsed() >= self.settings.patience => {
                    let reason = format!("nothing came for {} s", self.settings.patience.as_secs());
                    return Err(Fault::Passing { reason, pause: None });
                }
                Err(_) => {}
            }
        }
    }

    /// Sorts answers into good ones, bad ones, and those worth another try.
    fn judge(&self, what: &str, answer: Response) -> Result<Response, Fault> {
        let token = || -> Option<Origin> { Some(self.settings.token.as_ref()?.origin().clone()) };
        let what = what.to_owned();
        Err(Fault::Final(match answer.status() {
            status if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE => {
                return Ok(answer);
            }
            StatusCode::UNAUTHORIZED => Error::Unauthorized { what, token: token() },
            StatusCode::FORBIDDEN => {
                let repo: Vec<&str> = what.split(['@', '/']).take(2).collect();
                Error::Forbidden { page: shown(&self.url([&repo.join("/")])), what, token: token() }
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Error::NotFound { what },
            StatusCode::TOO_MANY_REQUESTS => match wanted_pause(answer.headers()) {
                Some(wait) if wait > MOST_PATIENCE => Error::Busy { wait },
                pause => {
                    let reason = "the hub wants to be asked less (429)".to_owned();
                    return Err(Fault::Passing { reason, pause });
                }
            },
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                let reason = format!("the hub answers {status}");
                let pause = wanted_pause(answer.headers()).map(|pause| pause.min(MOST_PATIENCE));
                return Err(Fault::Passing { reason, pause });
            }
            status => Error::Status { what, status: status.as_u16() },
        }))
    }
}

impl Drop for Client {
    /// A search for a name that nobody answers must not keep the process.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits, unless somebody wants an end.
pub(super) async fn pause(time: Duration, stop: &AtomicBool) -> Result<(), Error> {
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        tokio::time::sleep(left.min(POLL)).await;
    }
    Ok(())
}

/// Whether a redirect may be followed: what was once asked over TLS is asked over nothing else.
fn may_follow(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || to.scheme() == "http" && from.scheme() == "http"
}

/// Whether both are the same server.
fn is_same(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// `Retry-After`: seconds, or a date, which is held against the hub's own clock where it tells that (RFC 9110, 10.2.3).
fn wanted_pause(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text| httpdate::parse_http_date(text).ok();
    let wanted = text(RETRY_AFTER)?;
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = text(DATE).and_then(date).unwrap_or_else(SystemTime::now);
    // What has passed is now.
    Some(date(wanted)?.duration_since(now).unwrap_or_default())
}

fn passing(error: &reqwest::Error) -> Fault {
    Fault::Passing { reason: chain(error), pause: None }
}

/// An error and its causes in one line. Addresses may carry a signature, so they are left out.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_connect() {
        "no connection".to_owned()
    } else if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "the line broke".to_owned()
    };
    let mut last = std::error::Error::source(error);
    while let Some(cause) = last {
        let next = cause.source();
        if next.is_none() {
            text = format!("{text}: {cause}");
        }
        last = next;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_redirect_leads_back_from_tls() {
        let follows = |from: &str, to: &str| may_follow(&from.parse().unwrap(), &to.parse().unwrap());
        assert!(follows("http://a", "http://b") && follows("http://a", "https://b"));
        assert!(follows("https://a", "https://b") && !follows("https://a", "http://b"));
        assert!(!follows("http://a", "ftp://b") && !follows("https://a", "file:///b"));
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date_of_the_hubs_clock() {
        let pause = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            date.map(|date| headers.insert(DATE, date.parse().unwrap()));
            wanted_pause(&headers).map(|pause| pause.as_secs())
        };
        let (now, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:51:07 GMT");
        assert_eq!(pause(" 90 ", None), Some(90));
        assert_eq!(pause(later, Some(now)), Some(90));
        assert_eq!(pause("Sunday, 06-Nov-94 08:51:07 GMT", Some(now)), Some(90));
        assert_eq!(pause(now, Some(later)), Some(0));
        // By this machine's clock, which is later.
        assert_eq!((pause(later, None), pause(later, Some("x"))), (Some(0), Some(0)));
        assert!(pause("Fri, 31 Dec 9999 23:59:59 GMT", None).unwrap() > 1 << 32);
        for nonsense in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(pause(nonsense, Some(now)), None, "{nonsense}");
        }
    }
}
