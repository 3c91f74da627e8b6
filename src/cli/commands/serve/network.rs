//! Options of `ggrun serve` about connections, who may use the server, and its log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ggrun::serve::limits::Limits;
use ggrun::serve::listen::Tls;
use ggrun::serve::security::{Cors, Keys, Policy};
use http::Method;

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
        env = "LLAMA_ARG_HOST", action = clap::ArgAction::Set)]
    pub(super) host: Vec<String>,
    /// Listen on this port; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080, env = "LLAMA_ARG_PORT")]
    pub(super) port: u16,
    /// Require one of these keys in each request
    ///
    /// A client sends it as `Authorization: Bearer KEY` or `x-api-key: KEY`. Other users of this machine can see options
    /// of a command; a file or the variable is safer.
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
    /// The certificates that signed it follow it in the file. It is read again on SIGHUP.
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
    /// Accept requests for these host names, beside IP addresses and localhost
    ///
    /// Requests for other names are refused unless a key is required: a page in a browser could make its own name lead
    /// here.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', hide_short_help = true, action = clap::ArgAction::Set)]
    allowed_host: Option<Vec<String>>,
    /// Allow pages of these origins to use the server: SCHEME://HOST[:PORT], localhost for any port of this machine, or *
    #[arg(long, value_name = "ORIGIN,...", value_delimiter = ',', default_value = "localhost", hide_short_help = true,
        env = "LLAMA_ARG_CORS_ORIGINS", action = clap::ArgAction::Set)]
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
    /// Accept request bodies up to this size
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
    /// Print a JSON object for each response on standard error
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

    /// Whether only this machine can connect.
    pub(super) fn is_local(&self) -> bool {
        self.host.iter().all(|host| {
            let is_loopback = |address: std::net::IpAddr| address.is_loopback();
            host == "localhost"
                || Path::new(host).extension() == Some("sock".as_ref())
                || host.parse().is_ok_and(is_loopback)
        })
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

    /// Which requests are served. `open` has the paths that need no key.
    ///
    /// # Errors
    ///
    /// When a key or an origin cannot be used.
    pub(super) fn policy(&self, open: fn(&Method, &str) -> bool) -> anyhow::Result<Policy> {
        let keys = Keys::new(self.api_key.as_deref().unwrap_or_default(), self.api_key_file.as_deref())?;
        let allowed = self.allowed_host.iter().flatten();
        let hosts = self.host.iter().chain(allowed).map(|host| host.to_ascii_lowercase()).collect();
        Ok(Policy { hosts, cors: Cors::parse(&self.cors_origins)?, keys: Arc::new(keys), open })
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
    use super::*;

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
