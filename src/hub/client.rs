//! HTTP requests to the hub: redirects are followed by hand, responses have a size limit, and every wait can be stopped.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, DATE, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode, Url};
use tokio::runtime::{Builder, Runtime};

use super::endpoint::{host, redacted};
use super::failure::Failure;
use super::pace::{LEAST_RATE, Pace};
use super::{Error, Origin, RepoName, Settings, reason};

/// The number of redirects that are followed.
const MAX_REDIRECTS: usize = 10;
/// How often the stop flag is checked.
const POLL: Duration = Duration::from_millis(100);
/// The longest time for a connection, with its name lookup and TLS.
const CONNECT: Duration = Duration::from_secs(10);

/// A client of the hub.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    settings: Settings,
    /// The servers that have answered.
    reached: Mutex<BTreeSet<String>>,
    /// `Some` until it is dropped.
    runtime: Option<Runtime>,
}

/// The headers that describe a file.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// Those of the redirects to other servers.
    pub(super) redirect: HeaderMap,
    /// Those of the file itself.
    pub(super) file: HeaderMap,
}

impl Client {
    pub(super) fn new(settings: Settings) -> Result<Self, Error> {
        let failed =
            |reason: String| Error::Network { what: redacted(&settings.endpoint), reason, attempts: None };
        // Fails if this process has a default provider already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("ggrun/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.timeout.min(CONNECT))
            .build()
            .map_err(|error| failed(reason::of(&error)))?;
        // One thread for all connections. Hashing and writing happen elsewhere, so that no connection seems stalled.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| failed(reason::of_io(&error)))?;
        Ok(Self { http, settings, reached: Mutex::default(), runtime: Some(runtime) })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Blocks this thread until a request is done. Several threads may do this at once.
    pub(super) fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("only `drop` takes it").block_on(request)
    }

    /// The web page of a repository.
    pub(super) fn page(&self, repo: &RepoName) -> String {
        redacted(&self.url([repo.id()]))
    }

    /// The hub's address.
    pub(super) fn home(&self) -> String {
        redacted(&self.settings.endpoint)
    }

    /// The listing of a repository at its revision.
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

    /// The owner of the token.
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

    /// Sends a GET request and follows redirects. `range` is the first byte, and the last if it is known. The token is
    /// sent to the hub only, and a request over TLS is never redirected to one without.
    pub(super) async fn get(
        &self,
        what: &str,
        url: Url,
        range: Option<(u64, Option<u64>)>,
        stop: &AtomicBool,
    ) -> Result<Response, Failure> {
        let response = self.send(what, url, range, stop).await?;
        self.check(what, response)
    }

    /// Like [`get`](Self::get), but accepts any status except a redirect.
    pub(super) async fn send(
        &self,
        what: &str,
        mut url: Url,
        range: Option<(u64, Option<u64>)>,
        stop: &AtomicBool,
    ) -> Result<Response, Failure> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(Method::GET, &url, range, stop).await?;
            match redirect(&url, &response) {
                Redirect::Here => return Ok(response),
                Redirect::To(next) => url = next,
                Redirect::Refused => return Err(bad_redirect(what, &url).into()),
            }
        }
        Err(too_many_redirects(what).into())
    }

    /// Sends a HEAD request for a file. The hub describes a file that is stored on another server in its own redirect
    /// there, which is followed unless its headers are `enough`.
    pub(super) async fn head(
        &self,
        what: &str,
        mut url: Url,
        enough: impl Fn(&Headers) -> bool,
        stop: &AtomicBool,
    ) -> Result<Headers, Failure> {
        let mut found = Headers::default();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(Method::HEAD, &url, None, stop).await?;
            let headers = response.headers().clone();
            match redirect(&url, &response) {
                Redirect::Here => match self.check(what, response) {
                    Ok(_) => return Ok(Headers { file: headers, ..found }),
                    // A signed address may be valid for GET only.
                    Err(Failure::Final(
                        Error::Forbidden { .. } | Error::Unauthorized { .. } | Error::Status { .. },
                    )) if !found.redirect.is_empty() => {
                        return Ok(found);
                    }
                    Err(failure) => return Err(failure),
                },
                Redirect::To(next) => {
                    if !is_same_server(&next, &url) {
                        found.redirect.extend(headers);
                        if enough(&found) {
                            return Ok(found);
                        }
                    }
                    url = next;
                }
                Redirect::Refused => return Err(bad_redirect(what, &url).into()),
            }
        }
        Err(too_many_redirects(what).into())
    }

    /// Sends one request.
    async fn once(
        &self,
        method: Method,
        url: &Url,
        range: Option<(u64, Option<u64>)>,
        stop: &AtomicBool,
    ) -> Result<Response, Failure> {
        let mut request = self.http.request(method, url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some((from, to)) = range {
            let to = to.map(|to| to.to_string()).unwrap_or_default();
            request = request.header(RANGE, format!("bytes={from}-{to}"));
        }
        let token = self.settings.token.as_ref().filter(|_| is_same_server(url, &self.settings.endpoint));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
        }
        let sent = self.until(stop, request.send()).await?;
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        match sent {
            Ok(response) => {
                reached.insert(host(url));
                Ok(response)
            }
            Err(error) if error.is_connect() => {
                let (reason, reached) = (reason::of(&error), reached.contains(&host(url)));
                Err(if reached { Failure::Lost { reason } } else { Failure::Unreachable { reason } })
            }
            Err(error) => Err(broken(&error)),
        }
    }

    /// Watches the rate of a response from now on.
    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.settings.timeout * 2, Instant::now())
    }

    /// The next bytes of a response; `None` at its end.
    pub(super) async fn next(
        &self,
        response: &mut Response,
        pace: &mut Pace,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let piece = self.until(stop, response.chunk()).await?.map_err(|error| broken(&error))?;
        let Some(piece) = piece else { return Ok(None) };
        if !pace.holds(piece.len(), Instant::now()) {
            let (rate, seconds) = (gguf_export::size(LEAST_RATE), self.settings.timeout.as_secs() * 2);
            return Err(Failure::Broken { reason: format!("less than {rate}/s received for {seconds} s") });
        }
        Ok(Some(piece.into()))
    }

    /// The whole body of a response, if it has at most `limit` bytes.
    pub(super) async fn all(
        &self,
        what: &str,
        mut response: Response,
        limit: usize,
        stop: &AtomicBool,
    ) -> Result<Vec<u8>, Failure> {
        let (mut bytes, mut pace) = (Vec::new(), self.pace());
        while let Some(piece) = self.next(&mut response, &mut pace, stop).await? {
            if bytes.len() + piece.len() > limit {
                let reason = format!("longer than {limit} bytes");
                return Err(Error::Response { what: what.to_owned(), reason }.into());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Waits for a future until the timeout, or until `stop` is set.
    async fn until<T>(&self, stop: &AtomicBool, future: impl Future<Output = T>) -> Result<T, Failure> {
        let (mut future, started) = (pin!(future), Instant::now());
        loop {
            // Also between pieces that arrive without a pause.
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped.into());
            }
            match tokio::time::timeout(POLL, future.as_mut()).await {
                Ok(value) => return Ok(value),
                Err(_) if started.elapsed() >= self.settings.timeout => {
                    let reason = format!("no data received for {} s", self.settings.timeout.as_secs());
                    return Err(Failure::Broken { reason });
                }
                Err(_) => {}
            }
        }
    }

    /// Separates responses to use, to retry and to give up on by their status.
    fn check(&self, what: &str, response: Response) -> Result<Response, Failure> {
        let token = || -> Option<Origin> { Some(self.settings.token.as_ref()?.origin().clone()) };
        let (what, host, status) = (what.to_owned(), host(response.url()), response.status());
        Err(Failure::Final(match status {
            status if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE => {
                return Ok(response);
            }
            StatusCode::UNAUTHORIZED => Error::Unauthorized { what, host, token: token() },
            StatusCode::FORBIDDEN => {
                let repo: Vec<&str> = what.split(['@', '/']).take(2).collect();
                let page = redacted(&self.url([&repo.join("/")]));
                Error::Forbidden { page, what, host, token: token() }
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                Error::NotFound { what, host, status: status.as_u16() }
            }
            status
                if status.is_server_error()
                    || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status) =>
            {
                let pause = retry_after(response.headers());
                return Err(Failure::Busy { host, status: status.as_u16(), pause });
            }
            status => Error::Status { what, host, status: status.as_u16() },
        }))
    }
}

impl Drop for Client {
    /// Does not wait for a DNS lookup that is still running.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for a time, unless `stop` is set.
pub(super) async fn pause(time: Duration, stop: &AtomicBool) -> Result<(), Error> {
    let started = Instant::now();
    while let Some(left) = time.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        tokio::time::sleep(left.min(POLL)).await;
    }
    Ok(())
}

/// Whether a redirect may be followed: from `https` only to `https`.
fn may_follow(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || to.scheme() == "http" && from.scheme() == "http"
}

fn is_same_server(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// `Retry-After`: seconds, or a date, which is compared with the hub's `Date` if it sends one (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text| httpdate::parse_http_date(text).ok();
    let value = text(RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = text(DATE).and_then(date).unwrap_or_else(SystemTime::now);
    // A date in the past means no pause.
    Some(date(value)?.duration_since(now).unwrap_or_default())
}

fn broken(error: &reqwest::Error) -> Failure {
    Failure::Broken { reason: reason::of(error) }
}

/// Where a response leads.
enum Redirect {
    Here,
    To(Url),
    /// To an address that may not be followed.
    Refused,
}

fn redirect(url: &Url, response: &Response) -> Redirect {
    if !response.status().is_redirection() {
        return Redirect::Here;
    }
    let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    let next = to.and_then(|to| url.join(to).ok()).filter(|next| may_follow(url, next));
    next.map_or(Redirect::Refused, Redirect::To)
}

fn bad_redirect(what: &str, url: &Url) -> Error {
    let reason = format!("`{}` redirects to a missing, invalid or insecure address", host(url));
    Error::Response { what: what.to_owned(), reason }
}

fn too_many_redirects(what: &str) -> Error {
    Error::Response { what: what.to_owned(), reason: format!("more than {MAX_REDIRECTS} redirects") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_redirect_leads_from_tls_to_plain_http() {
        let follows = |from: &str, to: &str| may_follow(&from.parse().unwrap(), &to.parse().unwrap());
        assert!(follows("http://a", "http://b") && follows("http://a", "https://b"));
        assert!(follows("https://a", "https://b") && !follows("https://a", "http://b"));
        assert!(!follows("http://a", "ftp://b") && !follows("https://a", "file:///b"));
    }

    #[test]
    fn retry_after_is_in_seconds_or_a_date_by_the_hubs_clock() {
        let pause = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            date.map(|date| headers.insert(DATE, date.parse().unwrap()));
            retry_after(&headers).map(|pause| pause.as_secs())
        };
        let (now, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:51:07 GMT");
        assert_eq!(pause(" 90 ", None), Some(90));
        assert_eq!(pause(later, Some(now)), Some(90));
        assert_eq!(pause("Sunday, 06-Nov-94 08:51:07 GMT", Some(now)), Some(90));
        assert_eq!(pause(now, Some(later)), Some(0));
        // Without `Date`, the local clock is used, which is later.
        assert_eq!((pause(later, None), pause(later, Some("x"))), (Some(0), Some(0)));
        assert!(pause("Fri, 31 Dec 9999 23:59:59 GMT", None).unwrap() > 1 << 32);
        for invalid in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(pause(invalid, Some(now)), None, "{invalid}");
        }
    }
}
