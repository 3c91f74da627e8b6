//! `ggrun convert`.

mod args;
mod hub;
mod job;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::export::OutputFile;
use gguf_export::plan::{Fidelity, Plan};
use gguf_export::supply::Present;
use gguf_export::survey;
use serde_json::json;

pub(crate) use args::Convert;
use job::{Converted, Job, observer, plan_options};

use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::hub::Source;
use crate::cli::shared::conversion::{sentence, summary};
use crate::cli::shared::lent;
use crate::cli::ui::out::print;
use crate::cli::ui::progress::Bar;
use crate::cli::ui::text;

pub(crate) fn run(args: &Convert) -> anyhow::Result<Outcome> {
    refuse_existing(args).with_context(|| format!("cannot convert `{}`", args.source.display()))?;
    let started = std::time::Instant::now();
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let bar = Bar::new("Converting", args.common.progress);
    let done = match Source::of(&args.source)? {
        Source::Repo(repo) => hub::convert(args, &repo, &bar, stop),
        Source::Path(_) => {
            local(args, &bar, stop).with_context(|| format!("cannot convert `{}`", args.source.display()))
        }
    };
    bar.clear();
    let Converted { plan, files, resumed, report } = done?;
    for note in &plan.notes {
        eprintln!("note: {note}");
    }
    if args.common.json {
        let mut object = describe(&plan, &files, resumed, args.dry_run);
        object["proven"] = report.is_some().into();
        print(&format!("{object:#}\n"))?;
    } else if args.dry_run {
        print(&listing(&plan, &files))?;
    } else {
        let size: u64 = files.iter().map(|f| f.bytes).sum();
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{}", summary(&plan));
        if let Some(report) = &report {
            eprintln!("proven while it was written: {}", sentence(report));
        }
        let before = match resumed {
            0 => String::new(),
            n => format!(", {} of it by an interrupted run", text::bytes(n)),
        };
        eprintln!("{} in {seconds:.1} s{before}", text::bytes(size));
        for file in &files {
            print(&format!("{}\n", file.path.display()))?;
        }
    }
    Ok(Outcome::Success)
}

fn local(args: &Convert, bar: &Bar, stop: &AtomicBool) -> anyhow::Result<Converted> {
    anyhow::ensure!(
        !args.delete_source_as_you_go,
        "`--delete-source-as-you-go` is for repositories of the hub"
    );
    let mut checkpoint = Checkpoint::open(&args.source)?;
    let lent = hub::lent(args, &checkpoint, bar, stop)?;
    let borrowed = lent.as_ref().map(|shard| shard.path.clone());
    if let Some(shard) = lent {
        checkpoint = lent::with(&checkpoint, shard)?;
    }
    let plan = survey(&checkpoint, &plan_options(args), args.common.threads(), stop, &observer(bar))?;
    let prove = args.prove || borrowed.is_some();
    let done = Job::new(args, &checkpoint, plan)?.run(&Present, prove, bar, stop)?;
    hub::drop_borrowed(args, borrowed.as_deref())?;
    Ok(done)
}

/// Refuses before the work of hours what would be refused after it. Files whose names the plan makes are looked at later.
fn refuse_existing(args: &Convert) -> gguf_export::Result<()> {
    match &args.output {
        Some(path) if path.is_file() && args.split_max_size.is_none() && !args.force && !args.dry_run => {
            Err(gguf_export::Error::OutputExists { path: path.clone() })
        }
        _ => Ok(()),
    }
}

fn listing(plan: &Plan, files: &[OutputFile]) -> String {
    let mut rows = Vec::new();
    for t in &plan.tensors {
        rows.push(vec![
            t.name.clone(),
            t.ty().name().to_owned(),
            t.fidelity.map_or("", Fidelity::name).to_owned(),
            format!("{:?}", t.dims),
            text::bytes(t.bytes()),
            t.source.clone(),
        ]);
    }
    let mut out = text::table(&rows, &[4]);
    for file in files {
        out += &[&file.path.display().to_string(), "  ", &text::bytes(file.bytes), "\n"].concat();
    }
    out + &summary(plan) + "\n"
}

fn describe(plan: &Plan, files: &[OutputFile], resumed: u64, dry_run: bool) -> serde_json::Value {
    let tensors: Vec<_> = plan
        .tensors
        .iter()
        .map(|t| {
            json!({
                "name": t.name, "type": t.ty().name(), "dims": t.dims, "bytes": t.bytes(),
                "fidelity": t.fidelity.map(Fidelity::name), "source": t.source,
            })
        })
        .collect();
    let files: Vec<_> = files.iter().map(|f| json!({ "path": path(&f.path), "bytes": f.bytes })).collect();
    json!({
        "schema_version": 1, "dry_run": dry_run, "resumed_bytes": resumed, "files": files,
        "tensors": tensors, "mtp_layers": plan.mtp_layers, "notes": plan.notes,
    })
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
