//! Arguments of `ggrun bench`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use ggrun::bench::Test;
use ggrun::model::{ContextSize, LoadOptions};

use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::words::ModelWord;

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
    _model: ModelWord,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Tokens to read: numbers and ranges as in `512,1024-4096+1024` or `512-4096*2`; 0 for no such test
    #[arg(short = 'p', long, value_name = "N,...", default_value = "512")]
    pub(super) n_prompt: Counts,
    /// Tokens to write
    #[arg(short = 'n', long, value_name = "N,...", default_value = "128")]
    pub(super) n_gen: Counts,
    /// Reads P tokens and writes N in one test (also -pg)
    #[arg(long = "pg", value_name = "P,N")]
    pub(super) prompt_gen: Vec<Counts>,
    /// Tokens in the sequence before, not counted
    #[arg(short = 'd', long, value_name = "N,...", default_value = "0")]
    pub(super) n_depth: Counts,
    /// Runs of each test
    #[arg(short, long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) repetitions: u32,
    /// Form of the result
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t = Form::Md)]
    pub(super) output: Form,
    /// The same as -o json
    #[arg(long)]
    pub(super) json: bool,
    /// Drops the file from the system's cache before it is loaded
    #[arg(long)]
    pub(super) cold: bool,
    #[command(flatten)]
    pub(super) quality: QualityArgs,
    #[command(flatten)]
    pub(super) placement: PlacementArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Md,
    Json,
    Csv,
}

/// Numbers as llama-bench takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts(Vec<u32>);

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

#[derive(Debug, clap::Args)]
pub(super) struct QualityArgs {
    /// Measures how well the model predicts this text instead: its perplexity over the second half of every chunk of -c
    /// tokens [default: 512], as llama-perplexity does
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["n_prompt", "n_gen", "prompt_gen", "n_depth"])]
    pub(super) quality: Option<PathBuf>,
    /// Chunks of the text that are read [default: all]
    #[arg(long, value_name = "N", requires = "quality", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) chunks: Option<u32>,
    /// Writes the log-probabilities of every token, to compare others with: 4 bytes for each entry of the vocabulary at
    /// every counted place
    #[arg(long, value_name = "FILE", requires = "quality", conflicts_with = "kl")]
    pub(super) save_logits: Option<PathBuf>,
    /// Compares with what --save-logits wrote: Kullback-Leibler divergence in nats
    #[arg(long, value_name = "FILE", requires = "quality")]
    pub(super) kl: Option<PathBuf>,
}

impl QualityArgs {
    pub(super) fn is_asked(&self) -> bool {
        self.quality.is_some()
    }
}

impl Bench {
    pub(super) fn tests(&self) -> anyhow::Result<Vec<Test>> {
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
    pub(super) fn options(&self, model: &Path, tokens: u32) -> LoadOptions {
        LoadOptions {
            context: ContextSize::Tokens(tokens.max(1)),
            state_cache: 0,
            parallel: 1,
            ..self.placement.options(model)
        }
    }
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
