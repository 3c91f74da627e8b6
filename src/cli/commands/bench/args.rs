//! Arguments of `ggrun bench`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use ggrun::bench::Test;
use ggrun::model::{ContextSize, LoadOptions};

use crate::cli::options::common::OUTPUT;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::words::ModelWord;

/// Measures the speed of a model as llama-bench does, or its perplexity
///
/// Every test runs once to warm up and then -r times; rates are means with their standard deviation. A test processes
/// -p random tokens (pp), or generates -n tokens one by one (tg), after -d tokens that are not counted. With -np, it does
/// so in each of several slots at once, and rates count the tokens of all.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun bench model.gguf                         pp512 and tg128, five times, as llama-bench does
  ggrun bench model.gguf -p 512,2048 -n 0 -r 3
  ggrun bench model.gguf --quality wiki.txt      perplexity")]
#[command(after_long_help = "\
Examples:
  ggrun bench model.gguf                         pp512 and tg128, five times, as llama-bench does
  ggrun bench model.gguf -p 512,2048 -n 0 -r 3
  ggrun bench model.gguf -p 0 -n 128 -d 0,4096,16384 -o csv
  ggrun bench model.gguf --quality wiki.txt      perplexity
  ggrun bench f32.gguf --quality wiki.txt --chunks 8 --save-logits f32.logits
  ggrun bench q4.gguf --quality wiki.txt --chunks 8 --kl f32.logits")]
pub(crate) struct Bench {
    #[command(flatten)]
    _model: ModelWord,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Process a prompt of N tokens; repeatable
    ///
    /// Numbers and ranges, separated by commas: 512,1024-4096+1024 or 512-4096*2. 0 skips the test.
    #[arg(short = 'p', long, value_name = "N,...", default_value = "512", help_heading = TESTS)]
    pub(super) n_prompt: Vec<Counts>,
    /// Generate N tokens; repeatable
    #[arg(short = 'n', long, value_name = "N,...", default_value = "128", help_heading = TESTS)]
    pub(super) n_gen: Vec<Counts>,
    /// Process P tokens and generate N in one test; repeatable (also -pg)
    #[arg(long = "pg", value_name = "P,N", help_heading = TESTS, hide_short_help = true)]
    pub(super) prompt_gen: Vec<Counts>,
    /// Start after N tokens that are not counted; repeatable
    #[arg(short = 'd', long, value_name = "N,...", default_value = "0", help_heading = TESTS)]
    pub(super) n_depth: Vec<Counts>,
    /// Repeat each test N times
    #[arg(short, long, value_name = "N", default_value_t = 5, help_heading = TESTS,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) repetitions: u32,
    /// Print the result in this format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Form::Md, help_heading = OUTPUT)]
    pub(super) output: Form,
    /// Print JSON, as -o json does
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
    /// Drop the file from the page cache before it is loaded
    #[arg(long, help_heading = TESTS, hide_short_help = true)]
    pub(super) cold: bool,
    #[command(flatten)]
    pub(super) quality: QualityArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

const TESTS: &str = "Tests";
const QUALITY: &str = "Quality";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Md,
    Json,
    Csv,
}

/// Numbers in the form that llama-bench accepts.
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
                |text: &str| text.trim().parse::<u32>().map_err(|_| format!("`{text}` is not a number"));
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
    /// Measure the perplexity of this text file instead
    ///
    /// The second half of every chunk of -c tokens [default: 512] counts, as in llama-perplexity.
    #[arg(long, value_name = "FILE", help_heading = QUALITY, conflicts_with_all = ["n_prompt", "n_gen", "prompt_gen", "n_depth"])]
    pub(super) quality: Option<PathBuf>,
    /// Measure N chunks of the text [default: all]
    #[arg(long, help_heading = QUALITY, hide_short_help = true, value_name = "N", requires = "quality", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) chunks: Option<u32>,
    /// Write the logprobs of every token, for --kl with another model
    ///
    /// 4 bytes for each token of the vocabulary at every counted position.
    #[arg(long, help_heading = QUALITY, hide_short_help = true, value_name = "FILE", requires = "quality", conflicts_with = "kl")]
    pub(super) save_logits: Option<PathBuf>,
    /// Compare with a file written by --save-logits: Kullback-Leibler divergence in nats
    #[arg(long, help_heading = QUALITY, hide_short_help = true, value_name = "FILE", requires = "quality")]
    pub(super) kl: Option<PathBuf>,
}

impl QualityArgs {
    pub(super) fn is_asked(&self) -> bool {
        self.quality.is_some()
    }
}

impl Bench {
    pub(super) fn tests(&self) -> anyhow::Result<Vec<Test>> {
        let (mut tests, slots) = (Vec::new(), self.slots());
        let all = |counts: &[Counts]| counts.iter().flat_map(|counts| counts.0.clone()).collect::<Vec<_>>();
        for depth in all(&self.n_depth) {
            let alone = |prompt, answer| Test { prompt, answer, depth, slots };
            tests.extend(all(&self.n_prompt).into_iter().map(|prompt| alone(prompt, 0)));
            tests.extend(all(&self.n_gen).into_iter().map(|answer| alone(0, answer)));
            for pair in &self.prompt_gen {
                let [prompt, answer] = pair.0[..] else { bail!("-pg takes two numbers: P,N") };
                tests.push(alone(prompt, answer));
            }
        }
        tests.retain(|test| test.tokens() > 0);
        Ok(tests)
    }

    /// Sequences that are computed together.
    fn slots(&self) -> u32 {
        self.placement.parallel.unwrap_or(1)
    }

    /// The load's options, with room for the longest test.
    pub(super) fn options(&self, model: &Path, tokens: u32) -> LoadOptions {
        LoadOptions {
            context: ContextSize::Tokens(tokens.max(1)),
            state_cache: 0,
            parallel: if self.quality.is_asked() { 1 } else { self.slots() },
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
