//! `ggrun worker`: offers this machine's devices to other machines over llama.cpp's RPC.
//!
//! llama.cpp checks messages only in part, so each client is served by a process of its own: whatever a client sends, the
//! worker continues to serve.

mod accept;
mod client;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use ggrun::model::default_threads;
use ggrun::model::rpc::{self, Endpoint, Lent};
use serde_json::json;

use crate::cli::error::{DANGER, Interrupted, Remote};
use crate::cli::exit::Outcome;
use crate::cli::interrupt::{self, Interrupt};
use crate::cli::ui::err::{self, note};
use crate::cli::ui::out::print;
use crate::cli::ui::text;

/// The heading of options about connections.
const NETWORK: &str = "Network";

/// Serves the devices of this machine to other machines over llama.cpp's RPC
///
/// Another machine uses them as GPUs, with `--rpc ADDRESS:PORT`. Each client is served by a process of its own; clients
/// share the devices. The protocol has no authentication and no encryption: a client can read and write the memory of
/// the process that serves it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun worker                                        for this machine only
  ggrun worker --host 192.168.1.5 --allow-remote      for a trusted network
  ssh -L 50052:localhost:50052 gpu-box ggrun worker   for one other machine, encrypted

Prints the endpoint when it is ready, then serves until interrupted.")]
pub(crate) struct Worker {
    /// Listen on this address; any but a loopback address needs --allow-remote
    #[arg(short = 'H', long, help_heading = NETWORK, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    host: Ipv4Addr,
    /// Listen on this port; 0 picks a free one
    #[arg(short, long, help_heading = NETWORK, default_value_t = 50052)]
    port: u16,
    /// Allow an address that other machines can reach
    #[arg(long, help_heading = NETWORK)]
    allow_remote: bool,
    /// Serve these devices [default: the GPUs, or the CPU if no GPU exists]
    #[arg(short, long, value_name = "NAME,...", value_delimiter = ',', action = clap::ArgAction::Set)]
    device: Option<Vec<String>>,
    /// Compute with N threads on the CPU [default: one for each performance core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Serve N clients at once; another is not answered until one of them ends
    #[arg(long, help_heading = NETWORK, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,
    /// Print the endpoint and the devices as one JSON object
    #[arg(long)]
    json: bool,
    /// Serve the client whose socket is standard input, as a child of the worker with this process id
    #[arg(long, value_name = "PID", hide = true)]
    serve_client: Option<u32>,
}

pub(crate) fn run(args: &Worker) -> anyhow::Result<Outcome> {
    let devices = rpc::lendable(args.device.as_deref().unwrap_or_default())?;
    let threads = args.threads.unwrap_or_else(default_threads);
    if let Some(parent) = args.serve_client {
        return client::serve(parent, devices, threads);
    }
    let &Worker { host, port, .. } = args;
    if !host.is_loopback() && !args.allow_remote {
        return Err(Remote { host }.into());
    }
    let interrupt = Interrupt::listen();
    let version = rpc::version()?;
    let listener = rpc::listen(SocketAddr::from((host, port)))?;
    let address = listener.local_addr()?;
    if !host.is_loopback() {
        err::warning(&format!("listening on `{address}`: {DANGER}"));
    }
    let endpoint = Endpoint { host: host.to_string(), port: address.port() };
    for Lent { name, description, free, .. } in &devices {
        note(&format!("offering {name}, {description}, {} free", text::bytes(*free)));
    }
    let clients = usize::from(args.clients);
    let child = client::Child { devices: devices.iter().map(|lent| lent.name.clone()).collect(), threads };
    thread::spawn(move || accept::clients(&listener, version, child, clients));
    print(&announcement(args.json, &endpoint, &devices))?;
    loop {
        if interrupt.is_raised() {
            err::line(&Interrupted.to_string());
            // The threads that wait for clients cannot be stopped. The processes of clients end with this one.
            signal_hook::low_level::exit(interrupt::code().into());
        }
        thread::sleep(Duration::from_millis(50));
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
