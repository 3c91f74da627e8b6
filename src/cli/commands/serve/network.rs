//! Options of `ggrun serve` about connections, who may use the server, and its log.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ggrun::serve::limits::Limits;
use ggrun::serve::listen::{self, Tls};
use ggrun::serve::security::{Cors, Keys, Open, Policy, host_name};

use crate::cli::error::HostTwice;
use crate::cli::options::size::some_size;

/// Options about connections.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Network")]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct NetworkArgs {
    /// Listen on these addresses; a path that ends in .sock is a Unix socket
    ///
    /// A Unix socket accepts connections of this user only.
    #[arg(long, value_name = "ADDRESS,...", value_delimiter = ',', default_value = "127.0.0.1",
        env = "LLAMA_ARG_HOST", action = clap::ArgAction::Set, value_parser = host)]
    pub(super) host: Vec<String>,
    /// Listen on this port; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080, env = "LLAMA_ARG_PORT")]
    pub(super) port: u16,
    /// Require one of these keys in each request
    ///
    /// A client sends it as `Authorization: Bearer KEY` or `x-api-key: KEY`. Other users of this machine can see the
    /// command line; a file or the variable is safer.
    #[arg(long, value_name = "KEY,...", value_delimiter = ',', env = "LLAMA_API_KEY",
        hide_env_values = true, action = clap::ArgAction::Set)]
    api_key: Option<Vec<String>>,
    /// Require one of the keys in this file, one per line
    ///
    /// Lines that begin with # are comments. The file is read again on SIGHUP.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    api_key_file: Option<PathBuf>,
    /// Encrypt connections, with this certificate in PEM format
    ///
    /// Intermediate certificates follow it in the same file, which is read again on SIGHUP.
    #[arg(
        long,
        value_name = "FILE",
        requires = "ssl_key_file",
        env = "LLAMA_ARG_SSL_CERT_FILE",
        hide_short_help = true
    )]
    ssl_cert_file: Option<PathBuf>,
    /// Set the private key of the certificate, in PEM format
    #[arg(
        long,
        value_name = "FILE",
        requires = "ssl_cert_file",
        env = "LLAMA_ARG_SSL_KEY_FILE",
        hide_short_help = true
    )]
    ssl_key_file: Option<PathBuf>,
    /// Accept requests for these host names, in addition to IP addresses and localhost
    ///
    /// Requests for other names are refused unless a key is required: otherwise a web page could reach the server by DNS
    /// rebinding.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', hide_short_help = true, action = clap::ArgAction::Set,
        value_parser = allowed_host)]
    allowed_host: Option<Vec<String>>,
    /// Allow pages of these origins to use the server: SCHEME://HOST[:PORT], localhost for any port of this machine, or *
    #[arg(long, value_name = "ORIGIN,...", value_delimiter = ',', default_value = "localhost", hide_short_help = true,
        env = "LLAMA_ARG_CORS_ORIGINS", action = clap::ArgAction::Set, value_parser = origin)]
    cors_origins: Vec<String>,
    /// Let N requests wait for a slot; more are answered with 503 at once
    #[arg(long, value_name = "N", default_value_t = 64, hide_short_help = true,
        value_parser = clap::value_parser!(u32).range(0..=256))]
    pub(super) queue: u32,
    /// Accept N requests of one client at once; more are answered with 429 [default: no limit]
    ///
    /// A client is a key, or an address if no key is required.
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) per_client: Option<u32>,
    /// Accept request bodies and serve conversations up to this size
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = body_size, hide_short_help = true)]
    max_body: usize,
    /// Send a comment in a stream after N seconds without anything else
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, hide_short_help = true,
        env = "LLAMA_ARG_SSE_PING_INTERVAL")]
    sse_ping_interval: Duration,
    /// Disconnect a client that reads nothing of its response for N seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds, hide_short_help = true)]
    write_timeout: Duration,
    /// Let requests finish for N seconds after SIGTERM or Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = whole_seconds, hide_short_help = true)]
    pub(super) drain: Duration,
    /// Print JSON objects on standard error: one for each response, and one for each message
    ///
    /// A warning has the level `warning`, an error the level `error` with its causes and a hint.
    #[arg(long, hide_short_help = true)]
    pub(super) log_json: bool,
}

impl NetworkArgs {
    /// The limits, for as many connections as the open files of this process allow.
    pub(super) fn limits(&self, connections: usize) -> Limits {
        Limits {
            connections,
            body_bytes: self.max_body,
            all_bodies_bytes: Limits::default().all_bodies_bytes.max(2 * self.max_body),
            ping: self.sse_ping_interval,
            write: self.write_timeout,
            ..Limits::default()
        }
    }

    /// The certificate.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub(super) fn tls(&self) -> anyhow::Result<Option<Arc<Tls>>> {
        let files = self.ssl_cert_file.as_ref().zip(self.ssl_key_file.as_ref());
        Ok(files.map(|(certificate, key)| Tls::read(certificate, key)).transpose()?.map(Arc::new))
    }

    /// Whether keys or a certificate come from files.
    pub(super) fn has_files(&self) -> bool {
        self.api_key_file.is_some() || self.ssl_cert_file.is_some()
    }

    /// Which requests are served. `open` has the requests that need no key.
    ///
    /// # Errors
    ///
    /// When a key cannot be used, or a host occurs twice.
    pub(super) fn policy(&self, open: Open) -> anyhow::Result<Policy> {
        let mut seen = BTreeSet::new();
        if let Some(host) = self.host.iter().find(|host| !seen.insert(*host)) {
            return Err(HostTwice { host: host.clone() }.into());
        }
        let keys = Keys::new(self.api_key.as_deref().unwrap_or_default(), self.api_key_file.as_deref())?;
        let named =
            self.host.iter().filter(|host| !listen::is_socket(host)).filter_map(|host| host_name(host));
        let hosts = named.chain(self.allowed_host.iter().flatten().cloned()).collect();
        Ok(Policy { hosts, cors: Cors::parse(&self.cors_origins)?, keys: Arc::new(keys), open })
    }
}

/// An address, a name or a path, which is not empty.
fn host(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("expected an address, a name or a path that ends in .sock"),
        host => Ok(host.to_owned()),
    }
}

/// A name as the policy compares it.
fn allowed_host(text: &str) -> Result<String, &'static str> {
    host_name(text).ok_or("expected a host name such as box.lan, without a scheme and a port")
}

/// An origin, which is parsed again with the others.
fn origin(text: &str) -> Result<String, &'static str> {
    match Cors::parse(&[text]) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected SCHEME://HOST[:PORT], localhost or *"),
    }
}

fn body_size(text: &str) -> Result<usize, String> {
    let bytes = some_size(text)?;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= 1 << 30)
        .ok_or_else(|| "expected at most 1G".to_owned())
}

/// Parses a time above 0.
fn seconds(text: &str) -> Result<Duration, String> {
    let expected = "expected a number of seconds from 0.1 to 86400";
    let number: f64 = text.parse().map_err(|_| expected)?;
    if (0.1..=86_400.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(expected.to_owned())
    }
}

/// Parses a time that may be 0.
fn whole_seconds(text: &str) -> Result<Duration, String> {
    let expected = "expected a whole number of seconds from 0 to 86400";
    let number: u64 = text.parse().map_err(|_| expected)?;
    if number <= 86_400 { Ok(Duration::from_secs(number)) } else { Err(expected.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use ggrun::serve::{Settings, open_paths};

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        network: NetworkArgs,
    }

    fn parsed(options: &[&str]) -> Result<NetworkArgs, clap::Error> {
        Line::try_parse_from([&["x"], options].concat()).map(|line| line.network)
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let args = parsed(&[]).unwrap();
        let limits = Limits::default();
        assert_eq!(args.limits(limits.connections), limits);
        let (settings, policy) = (Settings::default(), args.policy(open_paths(None)).unwrap());
        assert_eq!((args.queue as usize, args.per_client), (settings.queue, None));
        assert_eq!(policy.cors, Cors::default());
    }

    #[test]
    fn names_are_compared_as_the_host_header_has_them() {
        let hosts = |options: &[&str]| parsed(options).unwrap().policy(open_paths(None)).unwrap().hosts;
        assert_eq!(hosts(&["--host", "Box.Lan.,/run/g.sock", "--allowed-host", "NAS."]), ["box.lan", "nas"]);
        assert_eq!(hosts(&["--host", "g.sock"]), [""; 0]);
        for bad in ["https://box.lan", "box.lan:8080", "box.lan/", ""] {
            let error = parsed(&["--allowed-host", bad]).unwrap_err().to_string();
            assert!(error.contains("expected a host name"), "{error}");
        }
    }

    #[test]
    fn an_empty_host_a_host_that_occurs_twice_and_a_bad_origin_are_refused() {
        assert!(parsed(&["--host", ""]).unwrap_err().to_string().contains("expected an address"));
        let error =
            parsed(&["--host", "127.0.0.1,::1,127.0.0.1"]).unwrap().policy(open_paths(None)).unwrap_err();
        assert_eq!(error.downcast::<HostTwice>().unwrap().host, "127.0.0.1");
        let error = parsed(&["--cors-origins", "localhost,box.lan"]).unwrap_err().to_string();
        assert!(error.contains("box.lan") && error.contains("expected SCHEME://HOST"), "{error}");
    }

    #[test]
    fn times_and_sizes_have_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "nan", "inf", "1e9", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(whole_seconds("0"), Ok(Duration::ZERO));
        assert!(whole_seconds("86401").is_err() && whole_seconds("-1").is_err());
        assert_eq!(body_size("16M"), Ok(16 << 20));
        assert!(body_size("2G").is_err() && body_size("0").is_err() && body_size("16").is_err());
    }
}
