//! A server whose model is a script: exact texts, calls, pauses and failures, chosen by the prompt. For tests of the page,
//! and for trying front ends without a model.
//!
//! ```sh
//! cargo run --example scripted -- --port 8081 --path web --answers answers.json
//! ```
//!
//! It prints its address on standard output once it listens, and ends when its standard input is closed, so that it never
//! outlives a test. `script.rs` describes the answers.

#![expect(clippy::print_stdout, reason = "its address is its output")]

mod model;
mod script;
mod words;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use ggrun::engine::Caps;
use ggrun::serve::access::Log;
use ggrun::serve::limits::Limits;
use ggrun::serve::listen::{self, Connections, Server};
use ggrun::serve::security::{Cors, Keys, Policy};
use ggrun::serve::{App, Folder, Metrics, Page, Phase, Sessions, Settings, layered, open_paths, router};
use tokio::sync::watch;

use script::Answers;

/// Parts in which a download and loading are reported.
const PARTS: u64 = 20;
/// The size of the model that is not there.
const MODEL_BYTES: u64 = 4 << 30;
/// How often the engine is checked.
const POLL: Duration = Duration::from_millis(20);

/// A server whose model is a script.
#[derive(Debug, clap::Parser)]
struct Args {
    /// Listen on this port; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Name the model
    #[arg(long, default_value = "scripted")]
    alias: String,
    /// Answers by prompt, as JSON
    #[arg(long)]
    answers: Option<PathBuf>,
    /// Serve the page in this folder instead of the built-in one
    #[arg(long)]
    path: Option<PathBuf>,
    /// Require this key
    #[arg(long)]
    api_key: Option<String>,
    /// Store conversations in this folder
    #[arg(long)]
    sessions_dir: Option<PathBuf>,
    /// Slots
    #[arg(long, default_value_t = 2)]
    parallel: u32,
    /// Tokens that a conversation can have
    #[arg(long, default_value_t = 8192)]
    context: u32,
    /// Tokens of a step
    #[arg(long, default_value_t = 64)]
    batch: u32,
    /// Milliseconds of the download and of the loading, each
    #[arg(long, default_value_t = 0)]
    load: u64,
    /// Do not serve `/metrics`
    #[arg(long)]
    no_metrics: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let answers = args.answers.as_deref().map_or_else(|| Ok(Answers::default()), Answers::read)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _context = runtime.enter();
    let (phase, watched) = watch::channel(Phase::Loading { done: 0, total: 0 });
    let page = match &args.path {
        Some(folder) => Page::Folder(Folder::new(folder)?),
        None => Page::BuiltIn,
    };
    let settings = Settings {
        names: vec![args.alias.clone()],
        metrics: !args.no_metrics,
        fingerprint: "scripted".to_owned(),
        page: Some(page.clone()),
        sessions: args.sessions_dir.clone().map(Sessions::together).unwrap_or_default(),
        ..Settings::default()
    };
    let app = Arc::new(App::new(settings, watched, Arc::new(Metrics::new()?)));
    let listeners = listen::bind(&["127.0.0.1".to_owned()], args.port)?;
    let names: Vec<String> = listeners.iter().map(listen::Listener::name).collect();
    runtime.spawn(listen::serve(server(&args, page, &app)?, listeners));
    let (mut ready, waits) = (phase.subscribe(), args.load == 0);
    thread::spawn(move || load(&args, answers, &phase));
    if waits {
        runtime.block_on(ready.wait_for(|phase| matches!(phase, Phase::Ready(_))))?;
    }
    println!("http://{}", names.join(" "));
    // Whatever ends the input ends the server.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    Ok(())
}

fn server(args: &Args, page: Page, app: &Arc<App>) -> anyhow::Result<Server> {
    let limits = Arc::new(Limits::default());
    let connections = Arc::new(Connections::new(limits.connections));
    app.metrics.watch(Arc::clone(&connections));
    let keys = Arc::new(Keys::new(args.api_key.as_slice(), None)?);
    let policy = Policy { hosts: Vec::new(), cors: Cors::default(), keys, open: open_paths(Some(page)) };
    let router =
        layered(router(Arc::clone(app)), Arc::new(policy), Arc::clone(&app.metrics), Log::new(|_| {}));
    Ok(Server { router, connections, limits, tls: None, stage: app.drain.stage() })
}

/// Reports a download and loading, then answers until the engine has failed.
fn load(args: &Args, answers: Answers, phase: &watch::Sender<Phase>) {
    let phases: [fn(u64, u64) -> Phase; 2] =
        [|done, total| Phase::Downloading { done, total }, |done, total| Phase::Loading { done, total }];
    if args.load > 0 {
        for now in phases {
            for part in 0..PARTS {
                phase.send_replace(now(part * (MODEL_BYTES / PARTS), MODEL_BYTES));
                thread::sleep(Duration::from_millis(args.load / PARTS));
            }
        }
    }
    let caps = Caps {
        sequences: args.parallel,
        context: args.context,
        batch: args.batch,
        can_trim: true,
        can_cache: true,
        can_copy: true,
    };
    let engine = model::engine(caps, answers);
    phase.send_replace(Phase::Ready(Arc::clone(&engine)));
    while engine.failure.get().is_none() {
        thread::sleep(POLL);
    }
    if let Some(error) = engine.failure.get() {
        phase.send_replace(Phase::Failed(error.to_string()));
    }
}
