//! `ggrun convert`.

mod args;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use ggrun::convert::{self, Converted, Options, Origin, Step};
use ggrun::hub::{Hub, Settings};
use gguf_export::ExportOptions;
use gguf_export::export::{OutputFile, is_unfinished};
use gguf_export::plan::{Fidelity, Plan, PlanOptions};
use gguf_export::quant::Choices;
use serde_json::json;

pub(crate) use args::Convert;

use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::hub::Source;
use crate::cli::shared::conversion::{remarks, sentence, summary, unwrapped};
use crate::cli::ui::err::{note, remark};
use crate::cli::ui::escape::printable;
use crate::cli::ui::out::print;
use crate::cli::ui::progress::Bar;
use crate::cli::ui::text;

pub(crate) fn run(args: &Convert) -> anyhow::Result<Outcome> {
    refuse_existing(args).with_context(|| format!("cannot convert `{}`", args.source.display()))?;
    let started = std::time::Instant::now();
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let bar = Bar::new("Converting", args.common.progress);
    let done = convert(args, &bar, stop);
    bar.clear();
    let Converted { plan, files, resumed, report, .. } = done?;
    if args.common.json {
        let mut object = describe(&plan, &files, resumed, args.dry_run);
        object["proven"] = report.is_some().into();
        print(&format!("{object:#}\n"))?;
    } else if args.dry_run {
        print(&listing(&plan, &files))?;
    } else {
        let size: u64 = files.iter().map(|f| f.bytes).sum();
        let seconds = started.elapsed().as_secs_f64();
        note(&summary(&plan));
        if let Some(report) = &report {
            note(&format!("proven while written: {}", sentence(report)));
        }
        let before = match resumed {
            0 => String::new(),
            n => format!(", {} of it from an interrupted run", text::bytes(n)),
        };
        note(&format!("{} in {seconds:.1} s{before}", text::bytes(size)));
        for file in &files {
            print(&format!("{}\n", file.path.display()))?;
        }
    }
    Ok(Outcome::Success)
}

fn convert(args: &Convert, bar: &Bar, stop: &AtomicBool) -> anyhow::Result<Converted> {
    let source = Source::of(&args.source)?;
    if let Source::Path(path) = &source {
        anyhow::ensure!(
            !args.delete_source_as_you_go,
            "cannot convert `{}`: `--delete-source-as-you-go` is for repositories on the hub",
            path.display()
        );
    }
    let hub = match (&source, &args.mtp_from) {
        (Source::Path(_), None) => None,
        _ => Some(Hub::new(Settings::read()?)?),
    };
    let origin = args.mtp_from.as_ref().zip(hub.as_ref()).map(|(repo, hub)| Origin { hub, repo });
    let observer = |step: Step<'_>| match step {
        Step::Source(event) => bar.arrive(event),
        Step::Mtp(event) => bar.fetch(event),
        // Said before hours of work.
        Step::Planned(plan) => remarks(plan).iter().for_each(|text| remark(text)),
        Step::Export(progress) => bar.observe(progress),
        _ => {}
    };
    let options = options(args);
    let done = match (&source, &hub) {
        (Source::Repo(repo), Some(hub)) => convert::repository(hub, repo, origin, &options, stop, &observer),
        _ => convert::folder(&args.source, origin, &options, stop, &observer),
    };
    done.map_err(|error| {
        let early = matches!((&source, &error), (Source::Repo(_), convert::Error::Hub(_)));
        let error = unwrapped(error);
        // A repository that cannot be read is named by its own error.
        if early { error } else { error.context(format!("cannot convert `{}`", args.source.display())) }
    })
}

fn options(args: &Convert) -> Options {
    Options {
        plan: PlanOptions {
            outtype: args.outtype.into(),
            fp8: args.fp8.map(Into::into),
            lm_head: args.lm_head.map(Into::into),
            token_embd: args.token_embd.map(Into::into),
            mla_k: args.mla_k.map(Into::into),
            mtp: args.mtp_type.map(Into::into),
            allow_rounding: args.allow_rounding,
            config: Choices {
                ignored_keys: args.ignore_config_key.clone(),
                zero_points: args.zero_points.map(Into::into),
                ..Choices::default()
            },
            name: args.name.clone(),
            ..PlanOptions::default()
        },
        export: ExportOptions {
            threads: args.common.threads(),
            overwrite: args.force,
            resume: !args.no_resume,
            split_max_bytes: args.split_max_size,
            prove: args.prove,
            ..ExportOptions::default()
        },
        output: args.output.clone(),
        dry_run: args.dry_run,
        jobs: args.jobs.into(),
        delete_shards: args.delete_source_as_you_go,
    }
}

/// Refuses an existing output before hours of work. Names that depend on the plan are checked later.
fn refuse_existing(args: &Convert) -> gguf_export::Result<()> {
    match &args.output {
        Some(path)
            if path.is_file()
                && args.split_max_size.is_none()
                && !args.force
                && !args.dry_run
                && !is_unfinished(path) =>
        {
            Err(gguf_export::Error::OutputExists { path: path.clone() })
        }
        _ => Ok(()),
    }
}

/// The plan: what grows, then every tensor, the files, what the GGUF lacks, and a summary.
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
    let remarks = remarks(plan);
    let (first, rest) = remarks.split_at(usize::from(plan.expanded().is_some()));
    let lines =
        |list: &[String]| list.iter().map(|line| printable(line).into_owned() + "\n").collect::<String>();
    let mut out = lines(first) + &text::table(&rows, &[4]);
    for file in files {
        out += &[&file.path.display().to_string(), "  ", &text::bytes(file.bytes), "\n"].concat();
    }
    out + &lines(rest) + &summary(plan) + "\n"
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
    let expanded = plan.expanded().map(|grown| {
        json!({ "type": "F32", "source": grown.source, "tensors": grown.tensors, "source_bytes": grown.from, "bytes": grown.to })
    });
    let left_out: Vec<_> = plan
        .left_out
        .iter()
        .map(|item| json!({ "name": item.at.tensor, "file": path(&item.at.file), "reason": item.reason.clause() }))
        .collect();
    let files: Vec<_> = files.iter().map(|f| json!({ "path": path(&f.path), "bytes": f.bytes })).collect();
    json!({
        "schema_version": 1, "dry_run": dry_run, "resumed_bytes": resumed, "files": files,
        "tensors": tensors, "mtp_layers": plan.mtp_layers, "notes": plan.notes,
        "left_out": left_out, "expanded": expanded,
    })
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
