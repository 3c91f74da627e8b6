//! `ggrun bench`: how fast a model reads and writes here, and how well it predicts a text.

mod quality;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use ggrun::bench::{Peak, QualityError, Test, first_token, peak_memory, run as measure};
use ggrun::engine::{DecodeError, Vocab as _};
use ggrun::model::{Abort, ContextSize, LoadOptions, Model, devices};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::When;
use super::interrupt::{Interrupt, Interrupted};
use super::model::ModelArgs;
use super::placement::{PlacementArgs, list_devices};
use super::{Outcome, open, text};

/// Measures how fast a model reads and writes, in llama-bench's terms
///
/// Every test runs once to warm up and then -r times; the rates are means with their standard deviation. A test reads
/// -p random tokens (pp), or writes -n tokens one by one (tg), behind -d tokens that are not counted. The model goes
/// where `ggrun plan` says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun bench -m model.gguf                          llama-bench's defaults: pp512 and tg128, five times
  ggrun bench -hf ORG/NAME-GGUF:Q4_0                 a GGUF of the hub, fetched first
  ggrun bench -m model.gguf -p 512,2048 -n 0 -r 3
  ggrun bench -m model.gguf -p 0 -n 128 -d 0,4096,16384 -o csv
  ggrun bench -m model.gguf --quality wiki.txt       perplexity
  ggrun bench -m f32.gguf --quality wiki.txt --chunks 8 --save-logits f32.logits
  ggrun bench -m q4.gguf --quality wiki.txt --chunks 8 --kl f32.logits")]
pub(crate) struct Bench {
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens to read: numbers and ranges as in `512,1024-4096+1024` or `512-4096*2`; 0 for no such test
    #[arg(short = 'p', long, value_name = "N,...", default_value = "512")]
    n_prompt: Counts,
    /// Tokens to write
    #[arg(short = 'n', long, value_name = "N,...", default_value = "128")]
    n_gen: Counts,
    /// Reads P tokens and writes N in one test (also -pg)
    #[arg(long = "pg", value_name = "P,N")]
    prompt_gen: Vec<Counts>,
    /// Tokens in the sequence before, not counted
    #[arg(short = 'd', long, value_name = "N,...", default_value = "0")]
    n_depth: Counts,
    /// Runs of each test
    #[arg(short, long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repetitions: u32,
    /// Form of the result
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t = Form::Md)]
    output: Form,
    /// The same as -o json
    #[arg(long)]
    json: bool,
    /// Drops the file from the system's cache before it is loaded
    #[arg(long)]
    cold: bool,
    #[command(flatten)]
    quality: quality::QualityArgs,
    #[command(flatten)]
    placement: PlacementArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Md,
    Json,
    Csv,
}

/// Numbers as llama-bench takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counts(Vec<u32>);

impl std::str::FromStr for Counts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut counts = Vec::new();
        for part in text.split(',') {
            let (first, rest) =
                part.split_once('-').map_or((part, None), |(first, rest)| (first, Some(rest)));
            let number =
                |text: &str| text.trim().parse::<u32>().map_err(|_| format!("`{text}` is no number"));
            let first = number(first)?;
            let Some(rest) = rest else {
                counts.push(first);
                continue;
            };
            let by = |sign| rest.split_once(sign);
            let (last, next): (u32, Box<dyn Fn(u32) -> Option<u32>>) = if let Some((last, step)) = by('+') {
                let step = number(step)?;
                (number(last)?, Box::new(move |n| n.checked_add(step)))
            } else if let Some((last, factor)) = by('*') {
                let factor = number(factor)?;
                (number(last)?, Box::new(move |n| n.checked_mul(factor)))
            } else {
                (number(rest)?, Box::new(|n| n.checked_add(1)))
            };
            let mut at = Some(first);
            while let Some(n) = at.filter(|n| *n <= last) {
                counts.push(n);
                at = next(n).filter(|next| *next > n);
                if counts.len() > 1000 {
                    return Err("more than 1000 numbers".to_owned());
                }
            }
        }
        Ok(Self(counts))
    }
}

impl Bench {
    fn tests(&self) -> anyhow::Result<Vec<Test>> {
        let mut tests = Vec::new();
        for &depth in &self.n_depth.0 {
            let alone = |prompt, answer| Test { prompt, answer, depth };
            tests.extend(self.n_prompt.0.iter().map(|&prompt| alone(prompt, 0)));
            tests.extend(self.n_gen.0.iter().map(|&answer| alone(0, answer)));
            for pair in &self.prompt_gen {
                let [prompt, answer] = pair.0[..] else { bail!("-pg takes two numbers: P,N") };
                tests.push(alone(prompt, answer));
            }
        }
        tests.retain(|test| test.tokens() > 0);
        Ok(tests)
    }

    /// The load's options, with room for the longest test.
    fn options(&self, model: &Path, tokens: u32) -> LoadOptions {
        LoadOptions {
            context: ContextSize::Tokens(tokens.max(1)),
            state_cache: 0,
            parallel: 1,
            ..self.placement.options(model)
        }
    }
}

pub(crate) fn run(args: &Bench) -> anyhow::Result<Outcome> {
    if args.placement.list_devices {
        super::print(&list_devices(&args.placement)?)?;
        return Ok(Outcome::Success);
    }
    let interrupt = Interrupt::listen();
    if args.quality.is_asked() {
        return quality::run(args, &interrupt).map(|()| Outcome::Success);
    }
    let tests = args.tests()?;
    let Some(longest) = tests.iter().map(Test::context).max() else {
        bail!("there is nothing to measure: -p and -n are 0");
    };
    let (model, subject) = load(args, longest, &interrupt)?;
    let vocab = model.vocab().size();
    let mut decoder = model.decoder(Abort::of(interrupt.shared()))?;
    let subject = subject.answered(first_token(&mut decoder, vocab).map_err(ended)?);
    let form = if args.json { Form::Json } else { args.output };
    let mut table = table::Table::new(form, subject);
    for test in tests {
        let bar = bar(&test.name(), args.repetitions + 1);
        let measured = measure(&mut decoder, vocab, test, args.repetitions, |done| {
            bar.set_position(done.into());
            !interrupt.is_raised()
        });
        bar.finish_and_clear();
        let measured = measured.map_err(ended)?;
        if interrupt.is_raised() {
            return Err(Interrupted.into());
        }
        super::print(&table.add(&measured, table.subject.peak()))?;
    }
    super::print(&table.end())?;
    Ok(Outcome::Success)
}

/// What is measured, and what its load took.
struct Subject {
    model: Described,
    before: Vec<ggrun::model::Device>,
    load: Duration,
    first_token: Duration,
}

/// What a row says of the model.
struct Described {
    path: PathBuf,
    description: String,
    size: u64,
    parameters: u64,
    backend: String,
    devices: String,
    gpu_layers: u32,
    options: LoadOptions,
    planned: u64,
    planned_gpu: u64,
}

impl Subject {
    fn answered(self, first_token: Duration) -> Self {
        Self { first_token, ..self }
    }

    fn peak(&self) -> Peak {
        peak_memory(&self.before, &devices(&self.model.options.rpc))
    }
}

fn load(args: &Bench, tokens: u32, interrupt: &Interrupt) -> anyhow::Result<(Model, Subject)> {
    let path = args.model.file(When::Auto)?;
    let options = args.options(&path, tokens);
    if args.cold {
        drop_from_cache(&path)?;
    }
    for worker in &options.rpc {
        ggrun::model::rpc::connect(worker)?;
    }
    let before = devices(&options.rpc);
    let begin = Instant::now();
    let model = open::load(options.clone(), interrupt)?;
    let load = begin.elapsed();
    let placement = model.placement();
    eprintln!("loaded in {:.2} s: {}", load.as_secs_f64(), placement.reason);
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
        planned: placement.bill.lines.first().map_or(0, planned),
        planned_gpu: placement.bill.lines.iter().skip(1).map(planned).sum(),
        options,
    };
    let subject = Subject { model: described, before, load, first_token: Duration::ZERO };
    Ok((model, subject))
}

/// Asks the system to forget a file, and its other parts if there are any, so that it is read from the disk again.
fn drop_from_cache(path: &Path) -> anyhow::Result<()> {
    for part in ggrun::model::check(path)?.files {
        let file = std::fs::File::open(&part).with_context(|| format!("cannot read `{}`", part.display()))?;
        #[cfg(target_os = "linux")]
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .with_context(|| format!("cannot drop `{}` from the cache", part.display()))?;
        #[cfg(not(target_os = "linux"))]
        bail!("this system cannot drop `{}` from its cache", {
            drop(file);
            part.display()
        });
    }
    Ok(())
}

/// A step that the user ended is no failure.
fn ended(error: impl Into<QualityError>) -> anyhow::Error {
    match error.into() {
        QualityError::Interrupted | QualityError::Decode(DecodeError::Interrupted) => Interrupted.into(),
        error => error.into(),
    }
}

/// Shows how many of some rounds are done, on a terminal.
fn bar(what: &str, rounds: u32) -> ProgressBar {
    let bar = ProgressBar::new(rounds.into()).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg}  {pos} of {len}  {eta} left") {
        bar.set_style(style);
    }
    bar.tick();
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_llama_benchs() {
        let counts = |text: &str| text.parse::<Counts>().map(|counts| counts.0);
        assert_eq!(counts("512"), Ok(vec![512]));
        assert_eq!(counts("1,2-4,8-32*2,10-30+10"), Ok(vec![1, 2, 3, 4, 8, 16, 32, 10, 20, 30]));
        assert_eq!(counts("5-7+0"), Ok(vec![5]));
        for wrong in ["", "a", "1-", "-1", "1,", "1-2*", "0-4000000000", "99999999999"] {
            assert!(counts(wrong).is_err(), "{wrong:?}");
        }
    }
}
