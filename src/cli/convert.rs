//! `ggrun convert`.

mod hub;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::export::{OutputFile, export_supplied, outputs};
use gguf_export::plan::{Fidelity, Plan, PlanOptions};
use gguf_export::supply::{Present, Supply};
use gguf_export::verify::Report;
use gguf_export::{ExportOptions, Progress, survey};
use serde_json::json;

use super::args::Convert;
use super::interrupt::Interrupt;
use super::progress::Bar;
use super::source::Source;
use super::{Outcome, lent, text};

pub(crate) fn run(args: &Convert) -> anyhow::Result<Outcome> {
    refuse_existing(args).with_context(|| format!("cannot convert `{}`", args.source.display()))?;
    let started = std::time::Instant::now();
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let bar = Bar::new("Converting", args.common.progress);
    let done = match Source::of(&args.source) {
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
        super::print(&format!("{object:#}\n"))?;
    } else if args.dry_run {
        super::print(&listing(&plan, &files))?;
    } else {
        let size: u64 = files.iter().map(|f| f.bytes).sum();
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{}", summary(&plan));
        if let Some(report) = &report {
            eprintln!("proven while it was written: {}", super::verify::sentence(report));
        }
        let before = match resumed {
            0 => String::new(),
            n => format!(", {} of it by an interrupted run", text::bytes(n)),
        };
        eprintln!("{} in {seconds:.1} s{before}", text::bytes(size));
        for file in &files {
            super::print(&format!("{}\n", file.path.display()))?;
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

fn plan_options(args: &Convert) -> PlanOptions {
    PlanOptions {
        outtype: args.outtype.into(),
        fp8: args.fp8.map(Into::into),
        lm_head: args.lm_head.map(Into::into),
        token_embd: args.token_embd.map(Into::into),
        mtp: args.mtp_type.map(Into::into),
        allow_rounding: args.allow_rounding,
        name: args.name.clone(),
        ..PlanOptions::default()
    }
}

fn observer(bar: &Bar) -> impl Fn(Progress<'_>) + Sync {
    |progress| bar.observe(progress)
}

/// What a conversion made, or would.
struct Converted {
    plan: Plan,
    files: Vec<OutputFile>,
    /// Bytes that an interrupted run had written.
    resumed: u64,
    report: Option<Report>,
}

/// A conversion that is planned.
struct Job<'a> {
    args: &'a Convert,
    checkpoint: &'a Checkpoint,
    plan: Plan,
    out: PathBuf,
    options: ExportOptions,
    files: Vec<OutputFile>,
}

impl<'a> Job<'a> {
    fn new(args: &'a Convert, checkpoint: &'a Checkpoint, plan: Plan) -> anyhow::Result<Self> {
        let out = match &args.output {
            Some(file) if !file.is_dir() => file.clone(),
            folder => folder.clone().unwrap_or_default().join(plan.file_name(checkpoint)?),
        };
        let options = ExportOptions {
            threads: args.common.threads(),
            overwrite: args.force,
            resume: !args.no_resume,
            split_max_bytes: args.split_max_size,
            prove: false,
        };
        let files = outputs(&plan, &out, &options)?;
        Ok(Self { args, checkpoint, plan, out, options, files })
    }

    /// Bytes of the files that are still to be written, at most.
    fn missing(&self) -> u64 {
        let held = |file: &OutputFile| {
            let mut part = file.path.clone().into_os_string();
            part.push(".part");
            gguf_export::io::allocated(part.as_ref())
        };
        self.files.iter().map(|file| file.bytes.saturating_sub(held(file))).sum()
    }

    fn run(
        self,
        supply: &dyn Supply,
        prove: bool,
        bar: &Bar,
        stop: &AtomicBool,
    ) -> anyhow::Result<Converted> {
        let Self { args, checkpoint, plan, out, options, files } = self;
        if args.dry_run {
            return Ok(Converted { plan, files, resumed: 0, report: None });
        }
        let from_before = AtomicU64::new(0);
        let options = ExportOptions { prove, ..options };
        let exported = export_supplied(checkpoint, &plan, &out, &options, supply, stop, &|progress| {
            if let Progress::Planned { resumed, .. } = progress {
                from_before.store(resumed, Ordering::Relaxed);
            }
            bar.observe(progress);
        })?;
        Ok(Converted { plan, files, resumed: from_before.into_inner(), report: exported.report })
    }
}

/// One line: how many tensors, how faithful.
pub(crate) fn summary(plan: &Plan) -> String {
    let of = |f| plan.tensors.iter().filter(|t| t.fidelity == Some(f)).count() as u64;
    let mut parts = vec![format!("{} exact by construction", text::count(of(Fidelity::Exact)))];
    if of(Fidelity::Checked) > 0 {
        parts.push(format!("{} exact as checked", text::count(of(Fidelity::Checked))));
    }
    if of(Fidelity::Rounded) > 0 {
        parts.push(format!("{} rounded", text::count(of(Fidelity::Rounded))));
    }
    let mtp = if plan.mtp_layers > 0 { "; has its prediction layer" } else { "" };
    format!("{}: {}{mtp}", text::plural(plan.tensors.len() as u64, "tensor"), parts.join(", "))
}

/// Tensors and bytes of each type, the largest first.
pub(crate) fn by_type(plan: &Plan) -> String {
    let mut groups: std::collections::BTreeMap<(&str, &str), (u64, u64)> = std::collections::BTreeMap::new();
    for t in &plan.tensors {
        let group = groups.entry((t.ty().name(), t.source.as_str())).or_default();
        *group = (group.0 + 1, group.1 + t.bytes());
    }
    let mut rows: Vec<_> = groups.into_iter().collect();
    rows.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let row = |((ty, source), (n, bytes)): ((&str, &str), (u64, u64))| {
        vec![source.to_owned(), "->".to_owned(), ty.to_owned(), text::plural(n, "tensor"), text::bytes(bytes)]
    };
    text::table(&rows.into_iter().map(row).collect::<Vec<_>>(), &[3, 4])
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
