//! `ggrun worker`: offers this machine's devices to other machines over llama.cpp's RPC.

use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use ggrun::model::default_threads;
use ggrun::model::rpc::{self, Endpoint, Lent, WorkerError};
use serde_json::json;

use crate::cli::error::{DANGER, Interrupted, Remote};
use crate::cli::exit::Outcome;
use crate::cli::interrupt::{self, Interrupt};
use crate::cli::ui::err::{self, note};
use crate::cli::ui::out;
use crate::cli::ui::text;

/// Serves the devices of this machine to other machines over llama.cpp's RPC
///
/// Another machine uses them as GPUs, with `--rpc ADDRESS:PORT`. One client is served at a time. The protocol has no
/// authentication and no encryption: a client can read and write the memory of the worker.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun worker                                        for this machine only
  ggrun worker --host 192.168.1.5 --allow-remote      for a trusted network
  ssh -L 50052:localhost:50052 gpu-box ggrun worker   for one other machine, encrypted

Prints the endpoint when it is ready, then serves until interrupted.")]
pub(crate) struct Worker {
    /// Listen on this address; any but a loopback address needs --allow-remote
    #[arg(short = 'H', long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    host: Ipv4Addr,
    /// Listen on this port; 0 picks a free one
    #[arg(short, long, default_value_t = 50052)]
    port: u16,
    /// Allow an address that other machines can reach
    #[arg(long)]
    allow_remote: bool,
    /// Serve these devices [default: the GPUs, or the CPU if no GPU exists]
    #[arg(short, long, value_name = "NAME,...", value_delimiter = ',', action = clap::ArgAction::Set)]
    device: Option<Vec<String>>,
    /// Compute with N threads on the CPU [default: one for each physical core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Print the endpoint and the devices as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Worker) -> anyhow::Result<Outcome> {
    let &Worker { host, port, .. } = args;
    if !host.is_loopback() && !args.allow_remote {
        return Err(Remote { host }.into());
    }
    let interrupt = Interrupt::listen();
    let devices = rpc::lendable(args.device.as_deref().unwrap_or_default())?;
    let address = rpc::listenable(SocketAddr::from((host, port)))?;
    if !host.is_loopback() {
        note(&format!("warning: listening on `{address}`: {DANGER}"));
    }
    let endpoint = Endpoint { host: host.to_string(), port: address.port() };
    let (mut out, engine) = out::take().context("cannot redirect the output of llama.cpp")?;
    thread::spawn(move || report_clients(engine));

    let (ended, end) = channel();
    let threads = args.threads.unwrap_or_else(default_threads);
    let (serving, lent) = (endpoint.clone(), devices.clone());
    // The receiver lives as long as the process.
    thread::spawn(move || drop(ended.send(rpc::serve(&serving, &lent, threads))));

    wait_for(&endpoint, &end, &interrupt)?;
    for Lent { name, description, free, .. } in &devices {
        note(&format!("offering {name}, {description}, {} free", text::bytes(*free)));
    }
    out.write_all(announcement(args.json, &endpoint, &devices).as_bytes())?;
    loop {
        match end.recv_timeout(Duration::from_millis(50)) {
            Err(RecvTimeoutError::Timeout) => leave_if(&interrupt),
            Ok(error) => return Err(error.into()),
            Err(RecvTimeoutError::Disconnected) => return Err(WorkerError::Ended.into()),
        }
    }
}

fn announcement(json: bool, endpoint: &Endpoint, devices: &[Lent]) -> String {
    if !json {
        return format!("{endpoint}\n");
    }
    let devices: Vec<_> = devices
        .iter()
        .map(|d| {
            json!({
                "name": d.name, "description": d.description, "memory_bytes": d.total, "free_bytes": d.free,
            })
        })
        .collect();
    format!("{}\n", json!({ "schema_version": 1, "endpoint": endpoint.to_string(), "devices": devices }))
}

/// Reports clients that connect and disconnect, from what llama.cpp prints. The first client is this process, which checks
/// that the worker listens.
fn report_clients(engine: PipeReader) {
    let (mut connected, mut disconnected) = (0, 0);
    for line in BufReader::new(engine).lines().map_while(Result::ok) {
        let (count, what) = match line.as_str() {
            "Accepted client connection" => (&mut connected, "client connected"),
            "Client connection closed" => (&mut disconnected, "client disconnected"),
            _ => continue,
        };
        *count += 1;
        if *count > 1 {
            note(what);
        }
    }
}

/// Waits until the worker listens.
fn wait_for(endpoint: &Endpoint, end: &Receiver<WorkerError>, interrupt: &Interrupt) -> anyhow::Result<()> {
    let host: Ipv4Addr = endpoint.host.parse()?;
    let host = if host.is_unspecified() { Ipv4Addr::LOCALHOST } else { host };
    let local = Endpoint { host: host.to_string(), port: endpoint.port };
    while let Err(WorkerError::Connect { .. }) = rpc::greet(&local) {
        if let Ok(error) = end.try_recv() {
            return Err(error.into());
        }
        leave_if(interrupt);
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Ends the process after an interrupt, because llama.cpp's server cannot be stopped.
fn leave_if(interrupt: &Interrupt) {
    if interrupt.is_raised() {
        err::line(&Interrupted.to_string());
        signal_hook::low_level::exit(interrupt::code().into());
    }
}
