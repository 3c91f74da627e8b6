//! The listening part of `ggrun serve`: from its options to open ports, and to their end.

use std::sync::Arc;
use std::time::Duration;

use ggrun::serve::limits::Limits;
use ggrun::serve::listen::{self, Connections, Listener, Server, Tls};
use ggrun::serve::security::{Keys, Policy};
use ggrun::serve::{App, Page, layered, open_paths, router};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::access;
use super::network::NetworkArgs;
use crate::cli::ui::err;

/// Open ports, on which connections wait.
#[derive(Debug)]
pub(super) struct Listening<'a> {
    args: &'a NetworkArgs,
    limits: Arc<Limits>,
    policy: Arc<Policy>,
    tls: Option<Arc<Tls>>,
    listeners: Vec<Listener>,
}

impl<'a> Listening<'a> {
    /// Checks the options, raises the limit on open files, and listens.
    ///
    /// # Errors
    ///
    /// When a certificate, a key or a host cannot be used, or an address cannot be listened on.
    pub(super) fn begin(
        args: &'a NetworkArgs,
        page: Option<Page>,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let most = Limits::default().connections;
        let connections = listen::connections(listen::raise_open_files(most), most);
        let (limits, policy) = (Arc::new(args.limits(connections)), Arc::new(args.policy(open_paths(page))?));
        let tls = args.tls()?;
        let _context = runtime.enter();
        Ok(Self { args, limits, policy, tls, listeners: listen::bind(&args.host, args.port)? })
    }

    /// The limits.
    pub(super) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits)
    }

    /// Whether each request needs a key.
    pub(super) fn has_keys(&self) -> bool {
        self.policy.keys.are_required()
    }

    /// Whether other machines can connect.
    pub(super) fn is_remote(&self) -> bool {
        self.listeners.iter().any(Listener::is_remote)
    }

    /// Serves the app from now on.
    pub(super) fn serve(self, runtime: &Runtime, app: &Arc<App>) -> Open {
        let Self { args, limits, policy, tls, listeners } = self;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut addresses = Vec::new();
        for listener in &listeners {
            let name = listener.name();
            if listener.is_remote() && !policy.keys.are_required() {
                err::warning(&format!(
                    "listening on `{name}` without an API key: other machines can use the server"
                ));
            }
            let is_tcp = listener.address().is_some();
            addresses.push(if is_tcp { format!("{scheme}://{name}") } else { name });
        }
        let keys = Arc::clone(&policy.keys);
        let needs_key = keys.are_required();
        let connections = Arc::new(Connections::new(limits.connections));
        app.metrics.watch(Arc::clone(&connections));
        let server = Server {
            router: layered(
                router(Arc::clone(app)),
                policy,
                Arc::clone(&app.metrics),
                access::log(args.log_json),
            ),
            connections,
            limits,
            tls: tls.clone(),
            stage: app.drain.stage(),
        };
        let serving = runtime.spawn(listen::serve(server, listeners));
        if args.has_files() {
            runtime.spawn(reread(keys, tls));
        }
        Open { addresses, needs_key, serving }
    }
}

/// A server that listens.
#[derive(Debug)]
pub(super) struct Open {
    addresses: Vec<String>,
    needs_key: bool,
    serving: JoinHandle<()>,
}

impl Open {
    /// The addresses, as a sentence has them.
    pub(super) fn addresses(&self) -> String {
        self.addresses.join(", ")
    }

    /// Where a browser on this machine finds the page.
    pub(super) fn page(&self) -> Option<String> {
        let address = self.addresses.iter().find(|address| !listen::is_socket(address))?;
        Some(format!("open {} in a browser to chat", url(address)))
    }

    /// A command that tries the server.
    pub(super) fn example(&self) -> String {
        let body = r#"{"messages": [{"role": "user", "content": "Hello"}]}"#;
        let address = self.addresses.first().map_or("", String::as_str);
        let (socket, url) = if listen::is_socket(address) {
            (format!("--unix-socket {address} "), "http://localhost".to_owned())
        } else {
            (String::new(), url(address))
        };
        let key = if self.needs_key { "-H 'Authorization: Bearer KEY' " } else { "" };
        format!("try: curl {socket}{key}{url}/v1/chat/completions -d '{body}'")
    }

    /// Lets requests finish for a time, and returns when every connection is closed.
    pub(super) fn drain(self, runtime: &Runtime, app: &App, time: Duration) {
        runtime.block_on(async {
            let ending = async {
                app.drain.begin(time).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                // A panic of the task was reported, and ended the connections.
                ended = self.serving => drop(ended),
                () = ending => {}
            }
        });
    }
}

/// An address that connects to a listener on every address.
fn url(address: &str) -> String {
    address.replace("://0.0.0.0", "://127.0.0.1").replace("://[::]", "://[::1]")
}

/// Reads keys and the certificate again on each SIGHUP.
#[cfg(unix)]
async fn reread(keys: Arc<Keys>, tls: Option<Arc<Tls>>) {
    use tokio::signal::unix::{SignalKind, signal};

    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return tracing::warn!(%error, "cannot listen for SIGHUP"),
    };
    while hangup.recv().await.is_some() {
        let (keys, tls) = (Arc::clone(&keys), tls.clone());
        let read = move || {
            if keys.has_file() {
                reloaded(keys.reload().map_err(Into::into), "API keys", "keys");
            }
            if let Some(tls) = tls {
                reloaded(tls.reload().map_err(Into::into), "certificate", "certificate");
            }
        };
        // A panic was reported, and leaves the files as they were.
        drop(tokio::task::spawn_blocking(read).await);
    }
}

#[cfg(unix)]
fn reloaded(result: anyhow::Result<()>, what: &str, previous: &str) {
    match result {
        Ok(()) => err::note(&format!("{what} reloaded")),
        Err(error) => err::warning(&format!("{error:#}; keeping the previous {previous}")),
    }
}

#[cfg(not(unix))]
async fn reread(_: Arc<Keys>, _: Option<Arc<Tls>>) {}
