//! Addresses and Unix sockets that connections are accepted on.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket as Raw, TcpKeepalive, Type};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use super::socket::Socket;
use crate::serve::limits::Limits;

/// Connections that the system holds before they are accepted.
const BACKLOG: i32 = 4096;
/// Silence after which the system asks whether the client is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Bytes that the system takes before the client does.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 << 10;

/// An address or a Unix socket that connections are accepted on.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixListener, SocketFile),
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The name has no address.
    #[error("cannot resolve the host `{host}`")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The address is in use, or is not of this machine.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address or path.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The path of a Unix socket has another file.
    #[error("cannot listen on `{}`: a file that is not a socket has this name", .path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process listens on a Unix socket.
    #[error("cannot listen on `{}`: another process listens on it", .path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
}

/// Listens on every address of every host, and on a Unix socket for a name that ends in `.sock`. If the port is 0, the
/// system chooses one, the same for every address.
///
/// # Errors
///
/// When a name has no address, or an address cannot be used.
pub fn bind(hosts: &[String], mut port: u16) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    for host in hosts {
        if is_socket(host) {
            listeners.push(unix(Path::new(host))?);
            continue;
        }
        let (mut bound, mut failed) = (false, None);
        for address in resolve(host)? {
            match tcp(SocketAddr::new(address, port), both_families(hosts)) {
                Ok(listener) => {
                    port = listener.local_addr().map_or(port, |address| address.port());
                    listeners.push(Listener::Tcp(listener));
                    bound = true;
                }
                // `localhost` may have an IPv6 address on a machine without IPv6.
                Err(source) => {
                    let address = SocketAddr::new(address, port).to_string();
                    failed = Some(BindError::Listen { address, source });
                }
            }
        }
        if let Some(failed) = failed.filter(|failed| !bound || is_in_use(failed)) {
            return Err(failed);
        }
    }
    Ok(listeners)
}

/// Whether a host is the path of a Unix socket.
#[must_use]
pub fn is_socket(host: &str) -> bool {
    Path::new(host).extension().is_some_and(|ending| ending == "sock")
}

fn is_in_use(error: &BindError) -> bool {
    matches!(error, BindError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
}

/// Whether the hosts include every address of both families, so that the two must not overlap.
fn both_families(hosts: &[String]) -> bool {
    hosts.iter().any(|host| host == "0.0.0.0")
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, BindError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Ok(vec![address]);
    }
    let failed = |source| BindError::Resolve { host: host.to_owned(), source };
    let mut found: Vec<_> =
        (bare, 0).to_socket_addrs().map_err(failed)?.map(|address| address.ip()).collect();
    found.dedup();
    if found.is_empty() {
        return Err(failed(io::Error::from(io::ErrorKind::NotFound)));
    }
    Ok(found)
}

fn tcp(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(not(unix))]
fn unix(path: &Path) -> Result<Listener, BindError> {
    let address = path.display().to_string();
    Err(BindError::Listen { address, source: io::Error::from(io::ErrorKind::Unsupported) })
}

/// Listens on a Unix socket that only this user can connect to. A file that an ended process left is replaced.
#[cfg(unix)]
fn unix(path: &Path) -> Result<Listener, BindError> {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::UnixStream;

    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // If it cannot be removed, neither can its name be used.
                drop(fs::remove_file(path));
            }
            _ => return Err(BindError::InUse { path: path.to_owned() }),
        }
    }
    let bind = || {
        let socket = Raw::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        // Before `listen`, so that the socket accepts nothing while others could connect.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        socket.listen(BACKLOG)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Listener::Unix(listener, SocketFile::of(path)?))
    };
    bind().map_err(|source| BindError::Listen { address: path.display().to_string(), source })
}

/// The file of a Unix socket, which is removed with the listener, unless another has taken its name.
#[cfg(unix)]
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        // A relative path must still lead to it if the working directory changes.
        let path = std::path::absolute(path)?;
        Ok(Self { identity: identity(&path)?, path })
    }
}

/// The device and the number of a file.
#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // A file that stays is replaced by the next server.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Listener {
    /// The address as a URL has it, or the path of the Unix socket.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".to_owned(), |a| a.to_string()),
            #[cfg(unix)]
            Self::Unix(_, file) => file.path.display().to_string(),
        }
    }

    /// The address, unless it is a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(..) => None,
        }
    }

    /// Whether other machines can connect.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.address().is_some_and(|address| !address.ip().to_canonical().is_loopback())
    }

    /// The next connection and its address.
    pub(super) async fn accept(&self, limits: &Limits) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // A connection without them works too.
                if let Err(error) = prepare(SockRef::from(&stream), limits) {
                    tracing::debug!(%error, "cannot set socket options");
                }
                Ok((Socket::Tcp(stream.into()), Some(address.ip().to_canonical())))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok((Socket::Unix(listener.accept().await?.0.into()), None)),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is a reference")]
fn prepare(socket: SockRef<'_>, limits: &Limits) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(limits.unacknowledged))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _: &Limits = limits;
    Ok(())
}
