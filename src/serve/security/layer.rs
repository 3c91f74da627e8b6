//! The middleware that holds the rules, and what it says about the client of a request.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use super::host::Host;
use super::keys::{KeyId, Keys, has_key};
use super::origin::{self, Cors};
use crate::engine::ClientId;
use crate::serve::listen::Peer;
use crate::serve::refused::Refused;

/// Bytes of a list of headers that a preflight asks for.
const MOST_ASKED: usize = 1024;
/// Characters of a header in a message.
const SHOWN: usize = 128;

/// Which requests are served.
#[derive(Debug)]
pub struct Policy {
    /// Names that `Host` may have in addition to addresses and `localhost`, each as [`host_name`](super::host_name) has it.
    pub hosts: Vec<String>,
    /// Origins whose pages may use the server.
    pub cors: Cors,
    /// Keys, of which each request needs one, if there are any.
    pub keys: Arc<Keys>,
    /// The requests that need no key.
    pub open: Open,
}

/// Decides by method and path whether a request needs no key.
#[derive(Clone)]
pub struct Open(Arc<IsOpen>);

type IsOpen = dyn Fn(&Method, &str) -> bool + Send + Sync;

impl Open {
    /// The requests for which `is_open` is true.
    pub fn new(is_open: impl Fn(&Method, &str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_open))
    }

    /// Whether a request needs no key.
    #[must_use]
    pub fn contains(&self, method: &Method, path: &str) -> bool {
        (self.0)(method, path)
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

/// The client of a request; each request has it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::serve) enum Client {
    /// The client with this key.
    Key(KeyId),
    /// The client at this address; for IPv6 the network of 64 bits.
    Address(IpAddr),
    /// Every client without a key on a Unix socket.
    Local,
}

impl Client {
    fn of(key: Option<KeyId>, peer: Option<&Peer>) -> Self {
        match (key, peer.and_then(|peer| peer.address)) {
            (Some(key), _) => Self::Key(key),
            (None, Some(IpAddr::V6(address))) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
            (None, Some(address)) => Self::Address(address),
            (None, None) => Self::Local,
        }
    }

    /// A number for the order of waiting requests. Two clients with the same number would share their turns.
    pub(in crate::serve) fn id(self) -> ClientId {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        ClientId(hasher.finish())
    }
}

/// Refuses what the policy excludes, answers preflights, and adds the headers for pages of other origins.
pub(in crate::serve) async fn layer(
    State(policy): State<Arc<Policy>>,
    mut request: Request,
    next: Next,
) -> Response {
    let allowed = single(request.headers(), &header::ORIGIN)
        .and_then(|origin| policy.cors.allows(origin))
        .and_then(|value| HeaderValue::from_str(value).ok());
    let mut response = match policy.check(&request) {
        Ok(_) if is_preflight(&request) => preflight(request.headers(), allowed.is_some()),
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(value) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        let exposed = const { HeaderValue::from_static("x-request-id, x-ggrun-ignored, retry-after") };
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

impl Policy {
    /// Checks a request, without its body.
    fn check(&self, request: &Request) -> Result<Client, Refused> {
        let headers = request.headers();
        let peer = request.extensions().get::<Peer>();
        let host = host(headers, request.uri());
        let local = peer.is_some_and(|peer| peer.address.is_none());
        let keys = self.keys.are_required();
        // A page has no key, and cannot connect to a Unix socket.
        if !keys && !local && !host.as_ref().is_some_and(|host| host.is_allowed(&self.hosts)) {
            return Err(Refused::Host { host: shown(headers, &header::HOST) });
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if !reads && self.is_foreign(headers, host.as_ref()) {
            return Err(Refused::Origin { origin: shown(headers, &header::ORIGIN) });
        }
        let key = self.keys.of(headers);
        let open = || is_preflight(request) || self.open.contains(request.method(), request.uri().path());
        if keys && key.is_none() && !open() {
            return Err(Refused::Key { missing: !has_key(headers) });
        }
        Ok(Client::of(key, peer))
    }

    /// Whether a request comes from a page of another origin that may not use the server.
    fn is_foreign(&self, headers: &HeaderMap, host: Option<&Host>) -> bool {
        if !headers.contains_key(header::ORIGIN) {
            return false;
        }
        let Some(origin) = single(headers, &header::ORIGIN) else { return true };
        let same = host.is_some_and(|host| origin::is_same(origin, host));
        !same && self.cors.allows(origin).is_none()
    }
}

/// The host that a request is for. Two that differ, or none, are refused.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<Host> {
    let host = Host::parse(single(headers, &header::HOST)?)?;
    match uri.authority() {
        Some(authority) => Host::parse(authority.as_str()).filter(|other| other.name == host.name),
        None => Some(host),
    }
}

/// The value of a header that occurs once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn shown(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.collect::<Vec<_>>().join(", ").chars().take(SHOWN).collect()
}

fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight; without headers for a foreign origin, which a browser takes as a refusal.
fn preflight(asked: &HeaderMap, allowed: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    if allowed {
        let headers = response.headers_mut();
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        // `*` does not include `Authorization`.
        if let Some(names) = asked
            .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
            .filter(|names| names.len() <= MOST_ASKED && names.to_str().is_ok())
        {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        if asked.contains_key("access-control-request-private-network") {
            let name = HeaderName::from_static("access-control-allow-private-network");
            headers.insert(name, HeaderValue::from_static("true"));
        }
    }
    response
}
