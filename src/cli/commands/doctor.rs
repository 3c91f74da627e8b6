//! `ggrun doctor`: describes this machine and this build, and gives advice.

use std::time::Duration;

use ggrun::doctor::{Facts, Token, advice, gather};
use ggrun::hub::{self, Hub, Origin, Settings};
use serde_json::json;

use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::ui::out::print;
use crate::cli::ui::text;

/// Time that the hub has to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Checks this machine, this build and the hub's cache, and prints advice
///
/// Measures the memory bandwidth and connects to the hub. Changes nothing and never prints a token.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun doctor
  ggrun doctor --json > machine.json      to attach to a bug report")]
pub(crate) struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Doctor) -> anyhow::Result<Outcome> {
    let facts = gather();
    let mut said = advice(&facts);
    let reached = reach();
    if let Ok(Some(origin)) = &reached {
        said.push(format!(
            "The hub rejected the token from {origin}: create one in the settings of your account, then run `hf auth login` or set HF_TOKEN."
        ));
    }
    let out = if args.json {
        let mut object = serde_json::to_value(&facts)?;
        object["schema_version"] = json!(1);
        object["advice"] = json!(said);
        object["hub"]["reachable"] = json!(reached.is_ok());
        object["hub"]["unreachable_because"] = json!(reached.err());
        format!("{object:#}\n")
    } else {
        show(&facts, &said, &reached)
    };
    print(&out)?;
    Ok(Outcome::Success)
}

/// Asks the hub once. Returns the origin of a rejected token, or the reason why the hub cannot be reached.
fn reach() -> Result<Option<Origin>, String> {
    let ask = || {
        let mut settings = Settings::read()?;
        settings.timeout = settings.timeout.min(PATIENCE);
        Hub::new(settings)?.reach(Interrupt::listen().flag())
    };
    ask().map_err(|error: hub::Error| match error {
        // Its words are about a file.
        hub::Error::Offline { .. } => "offline mode, set by HF_HUB_OFFLINE".to_owned(),
        error => error.to_string(),
    })
}

fn show(facts: &Facts, said: &[String], reached: &Result<Option<Origin>, String>) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), text::bytes);
    let (processor, memory) = (&facts.processor, &facts.memory);
    let cores = text::plural(processor.cores.into(), "core");
    add("processor", format!("{}, {cores} for computing", processor.name.as_deref().unwrap_or("unknown")));
    if let Some(load) = processor.load.filter(|_| processor.is_busy()) {
        add("", format!("busy with other programs: load {load:.1}"));
    }
    add("", format!("has {}", listed(&processor.has)));
    add("", format!("compiled for {}", listed(&processor.compiled)));
    let mut parts = vec![format!("{} free of {}", size(memory.available_bytes), size(memory.total_bytes))];
    parts.extend(memory.limit_bytes.map(|limit| format!("{} for this container", text::bytes(limit))));
    parts
        .extend(memory.swap_bytes.filter(|swap| *swap > 0).map(|swap| format!("{} swap", text::bytes(swap))));
    let threads = text::plural(memory.bandwidth_threads.into(), "thread");
    parts.extend(
        memory.bandwidth.map(|rate| format!("read at {:.1} GiB/s by {threads}", rate / f64::from(1 << 30))),
    );
    add("memory", parts.join(", "));
    for disk in &facts.disks {
        let free = format!("{} free of {}", size(disk.free_bytes), size(disk.total_bytes));
        add("disk", format!("{free}, {}: {}", disk.purpose, disk.folder.display()));
    }
    for gpu in &facts.gpus {
        let free = format!("{} free of {}", text::bytes(gpu.free_bytes), text::bytes(gpu.total_bytes));
        add("GPU", format!("{} ({}), {free}", gpu.name, gpu.description));
    }
    for video in &facts.video {
        add("video", format!("{}, driver {}", video.maker, video.driver.as_deref().unwrap_or("unknown")));
    }
    if facts.gpus.is_empty() && facts.video.is_empty() {
        add("GPU", "none".to_owned());
    }
    let engine = &facts.engine;
    add(
        "engine",
        format!("ggrun {}, llama.cpp {}, with {}", engine.ggrun, engine.llama_cpp, listed(&engine.backends)),
    );
    add("", format!("patches {}", listed(&engine.patches)));
    let kernels = engine.kernels.as_ref().map_or_else(
        || "no kernels for mapped weights; weights are repacked".to_owned(),
        |kernels| format!("{} kernels compute mapped {}", kernels.isa, kernels.types.join(", ")),
    );
    add("", kernels);
    let hub = &facts.hub;
    let token = match &hub.token {
        Token::None => "no token".to_owned(),
        Token::Variable(name) => format!("token from {name}"),
        Token::File(path) => format!("token from {}", path.display()),
    };
    add("hub", format!("{}{}, {token}", hub.endpoint, if hub.offline { " (offline)" } else { "" }));
    if !hub.offline {
        add(
            "",
            match reached {
                Ok(None) => "reachable".to_owned(),
                Ok(Some(_)) => "reachable, token rejected".to_owned(),
                Err(why) => format!("not reachable: {why}"),
            },
        );
    }
    let repositories = if hub.repositories == 1 { "repository" } else { "repositories" };
    let (least, bytes) = (if hub.counted { "" } else { "more than " }, text::bytes(hub.bytes));
    add("cache", format!("{} {repositories}, {least}{bytes}: {}", hub.repositories, hub.cache.display()));
    let mut out = text::table(&rows, &[]);
    out.push('\n');
    if said.is_empty() {
        out += "No advice.\n";
    }
    for sentence in said {
        out += "- ";
        out += sentence;
        out.push('\n');
    }
    out
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
}
