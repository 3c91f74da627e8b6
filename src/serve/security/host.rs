//! The rule for `Host`, against DNS rebinding: a page whose name resolves to this machine has the server's origin in a
//! browser, but its requests have its name. An address needs no lookup, and `localhost` leads here only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name or an address without a port, as [`Policy::hosts`](super::Policy::hosts) has it: in lower case, without the dot at
/// its end. `None` if the text is something else.
#[must_use]
pub fn host_name(text: &str) -> Option<String> {
    match Host::parse(text)? {
        Host { name: Name::Name(name), port: None } => Some(name),
        Host { name: Name::Address(address), port: None } => Some(address.to_string()),
        Host { port: Some(_), .. } => None,
    }
}

/// The name and the port of a `Host` header or of an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// The name.
    pub(super) name: Name,
    /// The port, if it is written.
    pub(super) port: Option<u16>,
}

/// A name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// An address.
    Address(IpAddr),
    /// A name in lower case, without the dot at its end.
    Name(String),
}

impl Host {
    /// Reads `NAME`, `NAME:PORT`, `[IPV6]` or `[IPV6]:PORT`.
    #[must_use]
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            return Some(Self { name: Name::Address(address.into()), port: self::port(port)? });
        }
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        Some(Self { name: Name::parse(name)?, port: self::port(port)? })
    }

    /// Whether the name leads to this machine, or is one of these.
    #[must_use]
    pub(super) fn is_allowed(&self, names: &[String]) -> bool {
        match &self.name {
            Name::Address(_) => true,
            Name::Name(name) => is_localhost(name) || names.iter().any(|allowed| allowed == name),
        }
    }

    /// Whether it is this machine.
    #[must_use]
    pub(super) fn is_loopback(&self) -> bool {
        match &self.name {
            Name::Address(address) => address.to_canonical().is_loopback(),
            Name::Name(name) => is_localhost(name),
        }
    }
}

impl Name {
    /// Reads a name or an IPv4 address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (!text.is_empty() && text.bytes().all(plain)).then_some(Self::Name(text))
    }
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Reads nothing or `:PORT`.
#[expect(clippy::option_option, reason = "invalid, absent, present")]
fn port(text: &str) -> Option<Option<u16>> {
    match text.strip_prefix(':') {
        None => text.is_empty().then_some(None),
        Some("") => Some(None),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        Some(_) => None,
    }
}
