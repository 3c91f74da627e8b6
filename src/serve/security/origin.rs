//! The rule for `Origin`: pages of other sites must not send requests here, and must not read answers.

use super::host::Host;

/// The origins whose pages may use the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    any: bool,
    loopback: bool,
    /// In lower case, without a default port.
    list: Vec<String>,
}

/// A value is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not an origin, expected `SCHEME://HOST[:PORT]`, `localhost` or `*`")]
pub struct CorsError {
    /// The value.
    pub value: String,
}

/// Pages of this machine, on any port.
impl Default for Cors {
    fn default() -> Self {
        Self { any: false, loopback: true, list: Vec::new() }
    }
}

impl Cors {
    /// Reads a list of origins, `localhost` for pages of this machine on any port, or `*` for all.
    ///
    /// # Errors
    ///
    /// When a value is something else.
    pub fn parse<T: AsRef<str>>(values: &[T]) -> Result<Self, CorsError> {
        let mut cors = Self { any: false, loopback: false, list: Vec::new() };
        for value in values {
            match value.as_ref() {
                "*" => cors.any = true,
                "localhost" => cors.loopback = true,
                other => {
                    let origin = Origin::parse(other.strip_suffix('/').unwrap_or(other));
                    let origin = origin.ok_or_else(|| CorsError { value: other.to_owned() })?;
                    cors.list.push(origin.text());
                }
            }
        }
        Ok(cors)
    }

    /// The value of `access-control-allow-origin` for an origin, if its pages may use the server.
    #[must_use]
    pub fn allows<'a>(&self, origin: &'a str) -> Option<&'a str> {
        if self.any {
            return Some("*");
        }
        let parsed = Origin::parse(origin)?;
        let listed = self.list.contains(&parsed.text());
        (listed || self.loopback && parsed.is_loopback()).then_some(origin)
    }
}

/// Whether an origin is that of the server itself, as the client calls it.
pub(super) fn is_same(origin: &str, host: &Host) -> bool {
    Origin::parse(origin).is_some_and(|origin| {
        let default = origin.default_port();
        match origin.host {
            Some(of) => of.name == host.name && of.port.or(default) == host.port.or(default),
            None => false,
        }
    })
}

/// An origin: `https://example.com`, or `chrome-extension://ID`.
struct Origin {
    scheme: String,
    /// As it is written, in lower case.
    authority: String,
    /// If it is a name or an address.
    host: Option<Host>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(plain) || authority.is_empty() {
            return None;
        }
        if authority.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'/' | b'?' | b'#' | b'@'))
        {
            return None;
        }
        let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
        let host = Host::parse(&authority);
        if host.is_none() && matches!(scheme.as_str(), "http" | "https") {
            return None;
        }
        Some(Self { scheme, authority, host })
    }

    fn default_port(&self) -> Option<u16> {
        match self.scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        }
    }

    fn is_loopback(&self) -> bool {
        self.default_port().is_some() && self.host.as_ref().is_some_and(Host::is_loopback)
    }

    fn text(&self) -> String {
        let port = self.host.as_ref().and_then(|host| host.port);
        let shown = match port.filter(|_| port == self.default_port()) {
            Some(port) => self.authority.strip_suffix(&format!(":{port}")).unwrap_or(&self.authority),
            None => &self.authority,
        };
        format!("{}://{shown}", self.scheme)
    }
}
