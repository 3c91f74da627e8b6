//! Loads the model to measure, and shows progress.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ggrun::bench::{Peak, QualityError, peak_memory};
use ggrun::engine::DecodeError;
use ggrun::model::{LoadOptions, Model, devices};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Bench;
use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::{open, source};
use crate::cli::ui::err::{self, note};
use crate::cli::ui::when::When;

/// The measured model, and the time and memory that loading it took.
pub(super) struct Subject {
    pub(super) model: Described,
    pub(super) before: Vec<ggrun::model::Device>,
    pub(super) load: Duration,
    pub(super) first_token: Duration,
}

/// The model as rows describe it.
pub(super) struct Described {
    pub(super) path: PathBuf,
    pub(super) description: String,
    pub(super) size: u64,
    pub(super) parameters: u64,
    pub(super) backend: String,
    pub(super) devices: String,
    pub(super) gpu_layers: u32,
    pub(super) batch: u32,
    pub(super) ubatch: u32,
    pub(super) options: LoadOptions,
    pub(super) planned: u64,
    pub(super) planned_gpu: u64,
}

impl Subject {
    pub(super) fn answered(self, first_token: Duration) -> Self {
        Self { first_token, ..self }
    }

    pub(super) fn peak(&self) -> Peak {
        peak_memory(&self.before, &devices(&self.model.options.rpc))
    }
}

pub(super) fn load(args: &Bench, tokens: u32, interrupt: &Interrupt) -> anyhow::Result<(Model, Subject)> {
    let path = source::model(&args.model, When::Auto)?;
    let options = args.options(&path, tokens);
    if args.cold {
        drop_from_cache(&path)?;
    }
    for worker in &options.rpc {
        ggrun::model::rpc::connect(worker)?;
    }
    let before = devices(&options.rpc);
    let begin = Instant::now();
    let model = open::load(options.clone(), interrupt, |_| ())?;
    let load = begin.elapsed();
    let placement = model.placement();
    note(&format!("loaded in {:.2} s: {}", load.as_secs_f64(), placement.reason));
    let mut backends: Vec<&str> = placement
        .devices
        .iter()
        .filter_map(|name| before.iter().find(|device| device.name == *name))
        .map(|device| device.backend.as_str())
        .collect();
    backends.dedup();
    let planned = |line: &ggrun::model::Line| line.sum();
    let described = Described {
        path,
        description: model.description(),
        size: model.size(),
        parameters: model.parameters(),
        backend: if backends.is_empty() { "CPU".to_owned() } else { backends.join(",") },
        devices: placement.devices.join("/"),
        gpu_layers: placement.gpu_layers,
        batch: placement.batch,
        ubatch: placement.ubatch,
        planned: placement.bill.lines.first().map_or(0, planned),
        planned_gpu: placement.bill.lines.iter().skip(1).map(planned).sum(),
        options,
    };
    let subject = Subject { model: described, before, load, first_token: Duration::ZERO };
    Ok((model, subject))
}

/// Drops the parts of a file from the page cache, so that they are read from the disk again.
fn drop_from_cache(path: &Path) -> anyhow::Result<()> {
    for part in ggrun::model::check(path)?.files {
        let file = std::fs::File::open(&part).with_context(|| format!("cannot read `{}`", part.display()))?;
        #[cfg(target_os = "linux")]
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .with_context(|| format!("cannot drop `{}` from the page cache", part.display()))?;
        #[cfg(not(target_os = "linux"))]
        anyhow::bail!("cannot drop `{}` from the page cache on this system", {
            drop(file);
            part.display()
        });
    }
    Ok(())
}

/// An interrupted step is an interrupt, not a failure.
pub(super) fn ended(error: impl Into<QualityError>) -> anyhow::Error {
    match error.into() {
        QualityError::Interrupted | QualityError::Decode(DecodeError::Aborted) => Interrupted.into(),
        error => error.into(),
    }
}

/// A bar of rounds, on a terminal.
pub(super) fn bar(what: &str, rounds: u32) -> ProgressBar {
    let target = if err::is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(rounds.into()), target).with_message(what.to_owned());
    err::clear_for_lines(&bar);
    if let Ok(style) = ProgressStyle::with_template("{msg}  {pos} of {len}  {eta} left") {
        bar.set_style(style);
    }
    bar.tick();
    bar
}
