//! Accepts connections as long as there are fewer than the limit, and waits for them at the end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::bind::Listener;
use super::connection;
use super::socket::Socket;
use super::tls::Tls;
use super::track::{Peer, Track};
use crate::serve::drain::{Stage, reached};
use crate::serve::limits::Limits;

/// The pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections that are open.
#[derive(Debug)]
pub struct Connections {
    places: Arc<Semaphore>,
    most: usize,
    open: AtomicUsize,
}

impl Connections {
    /// At most this many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self { places: Arc::new(Semaphore::new(most)), most, open: AtomicUsize::new(0) }
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    async fn all_closed(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        drop(self.places.acquire_many(all).await);
    }
}

/// An open connection.
struct Open {
    connections: Arc<Connections>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(connections: Arc<Connections>, place: OwnedSemaphorePermit) -> Self {
        connections.open.fetch_add(1, Ordering::Relaxed);
        Self { connections, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What connections are served with.
#[derive(Debug, Clone)]
pub struct Server {
    /// Answers requests.
    pub router: Router,
    /// Times and sizes.
    pub limits: Arc<Limits>,
    /// The certificate; without it, connections are not encrypted. Unix sockets never are.
    pub tls: Option<Arc<Tls>>,
    /// The open connections.
    pub connections: Arc<Connections>,
    /// Ends the server.
    pub stage: watch::Receiver<Stage>,
}

/// Serves connections until the server has drained: every connection is closed, or the time for that is over.
pub async fn serve(server: Server, listeners: Vec<Listener>) {
    // Connections end once this is dropped.
    let (alive, ended) = watch::channel(());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, server.clone(), ended.clone()));
    }
    drop(ended);
    while accepting.join_next().await.is_some() {}
    let Server { limits, connections, mut stage, .. } = server;
    let late = async {
        reached(&mut stage, Stage::Ending).await;
        sleep(limits.ending).await;
    };
    tokio::select! {
        () = connections.all_closed() => {}
        () = late => tracing::debug!(open = connections.open(), "connections closed before their end"),
    }
    drop(alive);
}

/// Accepts connections until the server drains. The listener is closed then.
async fn accept(listener: Listener, server: Server, ended: watch::Receiver<()>) {
    let mut stage = server.stage.clone();
    let mut draining = std::pin::pin!(reached(&mut stage, Stage::Draining));
    let mut full = false;
    loop {
        let places = Arc::clone(&server.connections.places);
        if places.available_permits() == 0 && !std::mem::replace(&mut full, true) {
            tracing::warn!(
                open = server.connections.open(),
                "connection limit reached; new connections wait"
            );
        }
        let next = async {
            let place = places.acquire_owned().await.ok()?;
            Some((place, listener.accept(&server.limits).await))
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut draining => return,
            next = next => match next {
                Some(next) => next,
                None => return,
            },
        };
        full &= server.connections.places.available_permits() == 0;
        match accepted {
            Ok((socket, address)) => {
                let open = Open::new(Arc::clone(&server.connections), place);
                let (server, mut ended) = (server.clone(), ended.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connect(socket, address, server) => {}
                        // Only fails, once the server has ended.
                        _ = ended.changed() => {}
                    }
                    drop(open);
                });
            }
            Err(error) => {
                drop(place);
                tracing::warn!(%error, "cannot accept a connection on {}", listener.name());
                sleep(PAUSE).await;
            }
        }
    }
}

/// Serves a connection, after a TLS handshake if there is a certificate.
async fn connect(socket: Socket, address: Option<IpAddr>, server: Server) {
    let Server { router, limits, tls, stage, .. } = server;
    let Some(tls) = tls.filter(|_| address.is_some()) else {
        let peer = Peer { address, track: Track::new() };
        return connection::run(socket.clone(), &socket, peer, router, &limits, stage).await;
    };
    let encrypted = async {
        match timeout(limits.handshake, tls.acceptor().accept(socket.clone())).await {
            Ok(Ok(stream)) => {
                let peer = Peer { address, track: Track::new() };
                connection::run(stream, &socket, peer, router, &limits, stage).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "the TLS handshake failed"),
            Err(_) => tracing::debug!("the TLS handshake took too long"),
        }
    };
    // In a box, so that connections without TLS do not take its memory.
    Box::pin(encrypted).await;
}
