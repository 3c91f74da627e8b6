//! Options of sampling, with llama.cpp's names.

use std::sync::Arc;

use anyhow::Context as _;
use ggrun::engine::{SamplerKind, Token};
use ggrun::session::{Limit, MirostatMode, SamplingOptions};

use super::pairs;

/// Options of sampling; the model recommends the defaults
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Set the temperature; 0 is greedy
    #[arg(
        long,
        value_name = "X",
        alias = "temperature",
        allow_negative_numbers = true,
        env = "LLAMA_ARG_TEMP"
    )]
    temp: Option<f32>,
    /// Set the range of the dynamic temperature; 0 turns it off
    #[arg(long, value_name = "X", hide_short_help = true)]
    dynatemp_range: Option<f32>,
    /// Set the exponent of the dynamic temperature
    #[arg(long, value_name = "X", hide_short_help = true)]
    dynatemp_exp: Option<f32>,
    /// Keep the N most likely tokens; 0 turns it off
    #[arg(long, value_name = "N", env = "LLAMA_ARG_TOP_K")]
    top_k: Option<u32>,
    /// Keep the most likely tokens up to this cumulative probability; 1 turns it off
    #[arg(long, value_name = "X", env = "LLAMA_ARG_TOP_P")]
    top_p: Option<f32>,
    /// Remove tokens less likely than this fraction of the most likely one; 0 turns it off
    #[arg(long, value_name = "X", env = "LLAMA_ARG_MIN_P", hide_short_help = true)]
    min_p: Option<f32>,
    /// Keep tokens of typical surprise up to this cumulative probability; 1 turns it off
    #[arg(long, value_name = "X", alias = "typical-p", hide_short_help = true)]
    typical: Option<f32>,
    /// Keep logits within this many standard deviations of the largest; -1 turns it off
    #[arg(
        long,
        value_name = "X",
        alias = "top-n-sigma",
        allow_negative_numbers = true,
        hide_short_help = true
    )]
    top_nsigma: Option<f32>,
    /// XTC: set the probability of removing the most likely tokens; 0 turns it off
    #[arg(long, value_name = "X", hide_short_help = true)]
    xtc_probability: Option<f32>,
    /// XTC: set the minimum probability of a removable token
    #[arg(long, value_name = "X", hide_short_help = true)]
    xtc_threshold: Option<f32>,
    /// Look for repeated tokens in the last N; -1 is all, 0 turns the penalties off
    #[arg(long, value_name = "N", allow_negative_numbers = true, hide_short_help = true)]
    repeat_last_n: Option<Limit>,
    /// Divide the logits of repeated tokens by this; 1 turns it off
    #[arg(long, value_name = "X", hide_short_help = true)]
    repeat_penalty: Option<f32>,
    /// Subtract this from the logits of repeated tokens once; 0 turns it off
    #[arg(long, value_name = "X", allow_negative_numbers = true, hide_short_help = true)]
    presence_penalty: Option<f32>,
    /// Subtract this from the logits of repeated tokens for each use; 0 turns it off
    #[arg(long, value_name = "X", allow_negative_numbers = true, hide_short_help = true)]
    frequency_penalty: Option<f32>,
    /// DRY: set the multiplier of the penalty on repeated sequences; 0 turns it off
    #[arg(long, value_name = "X", hide_short_help = true)]
    dry_multiplier: Option<f32>,
    /// DRY: set the base of the penalty
    #[arg(long, value_name = "X", hide_short_help = true)]
    dry_base: Option<f32>,
    /// DRY: set the longest sequence that may be repeated without a penalty
    #[arg(long, value_name = "N", hide_short_help = true)]
    dry_allowed_length: Option<u32>,
    /// DRY: look for repeated sequences in the last N tokens; -1 is all, 0 turns it off
    #[arg(long, value_name = "N", allow_negative_numbers = true, hide_short_help = true)]
    dry_penalty_last_n: Option<Limit>,
    /// DRY: end a repetition at TEXT instead of the default texts; may be repeated, `none` for an empty list
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    dry_sequence_breaker: Vec<String>,
    /// Use mirostat, version 1 or 2; 0 turns it off
    #[arg(long, value_name = "N", value_parser = mirostat, hide_short_help = true)]
    mirostat: Option<MirostatMode>,
    /// Mirostat: set the learning rate
    #[arg(long, value_name = "X", hide_short_help = true)]
    mirostat_lr: Option<f32>,
    /// Mirostat: set the target surprise
    #[arg(long, value_name = "X", hide_short_help = true)]
    mirostat_ent: Option<f32>,
    /// Add to the logit of a token, such as 15043+1, or 15043-inf to forbid it; may be repeated
    #[arg(short, long, value_name = "TOKEN(+/-)BIAS", value_parser = bias, hide_short_help = true)]
    logit_bias: Vec<(Token, f32)>,
    /// Forbid the tokens that end an answer
    #[arg(long, hide_short_help = true)]
    ignore_eos: bool,
    /// Set the samplers and their order, separated by `;`
    #[arg(long, value_name = "NAMES", value_parser = order, hide_short_help = true)]
    samplers: Option<Order>,
}

/// Samplers in order; a separate type, because clap would treat a list as a repeated option.
type Order = Arc<[SamplerKind]>;

impl SamplingArgs {
    /// The options of sampling.
    pub(crate) fn options(&self) -> SamplingOptions {
        let breakers = self.dry_sequence_breaker.iter().filter(|text| *text != "none").cloned();
        SamplingOptions {
            temperature: self.temp,
            temperature_range: self.dynatemp_range,
            temperature_exponent: self.dynatemp_exp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical,
            top_n_sigma: self.top_nsigma,
            repeat_last_n: self.repeat_last_n,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            dry_multiplier: self.dry_multiplier,
            dry_base: self.dry_base,
            dry_allowed_length: self.dry_allowed_length,
            dry_last_n: self.dry_penalty_last_n,
            dry_breakers: (!self.dry_sequence_breaker.is_empty()).then(|| breakers.collect()),
            xtc_probability: self.xtc_probability,
            xtc_threshold: self.xtc_threshold,
            mirostat: self.mirostat,
            mirostat_tau: self.mirostat_ent,
            mirostat_eta: self.mirostat_lr,
            logit_bias: self.logit_bias.clone(),
            ignore_end: self.ignore_eos.then_some(true),
            order: self.samplers.as_deref().map(<[SamplerKind]>::to_vec),
        }
    }
}

fn mirostat(typed: &str) -> anyhow::Result<MirostatMode> {
    typed.parse().ok().and_then(MirostatMode::from_number).context("expected 0, 1 or 2")
}

fn bias(typed: &str) -> Result<(Token, f32), String> {
    pairs::token_bias(typed).map(|(token, bias)| (Token(token), bias))
}

fn order(typed: &str) -> anyhow::Result<Order> {
    let names = typed.split(';').map(str::trim).filter(|name| !name.is_empty());
    let kinds = names.map(|name| {
        SamplerKind::named(name).with_context(|| {
            let known = SamplerKind::DEFAULT_ORDER.map(SamplerKind::name).join(";");
            format!("unknown sampler `{name}`, expected any of {known}")
        })
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use ggrun::engine::MirostatVersion;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sampling: SamplingArgs,
    }

    fn parse(line: &str) -> Result<SamplingOptions, String> {
        let line = Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace()));
        line.map(|line| line.sampling.options()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_typed_sets_nothing() {
        assert_eq!(parse(""), Ok(SamplingOptions::default()));
    }

    #[test]
    fn every_option_has_its_effect() {
        let options = parse(
            "--temp 0 --dynatemp-range 0.5 --dynatemp-exp 2 --top-k 5 --top-p 0.5 --min-p 0.1 --typical 0.9 \
             --top-nsigma -1 --xtc-probability 0.5 --xtc-threshold 0.2 --repeat-last-n -1 --repeat-penalty 1.1 \
             --presence-penalty -1 --frequency-penalty 0.5 --dry-multiplier 0.8 --dry-base 2 \
             --dry-allowed-length 3 --dry-penalty-last-n 64 --dry-sequence-breaker a --dry-sequence-breaker b \
             --mirostat 2 --mirostat-lr 0.2 --mirostat-ent 4 -l 15+1.5 --logit-bias 16-inf --ignore-eos \
             --samplers top_k;temperature",
        );
        let expected = SamplingOptions {
            temperature: Some(0.0),
            temperature_range: Some(0.5),
            temperature_exponent: Some(2.0),
            top_k: Some(5),
            top_p: Some(0.5),
            min_p: Some(0.1),
            typical_p: Some(0.9),
            top_n_sigma: Some(-1.0),
            repeat_last_n: Some(Limit::Unlimited),
            repeat_penalty: Some(1.1),
            presence_penalty: Some(-1.0),
            frequency_penalty: Some(0.5),
            dry_multiplier: Some(0.8),
            dry_base: Some(2.0),
            dry_allowed_length: Some(3),
            dry_last_n: Some(Limit::Tokens(64)),
            dry_breakers: Some(vec!["a".to_owned(), "b".to_owned()]),
            xtc_probability: Some(0.5),
            xtc_threshold: Some(0.2),
            mirostat: Some(MirostatMode::On(MirostatVersion::V2)),
            mirostat_tau: Some(4.0),
            mirostat_eta: Some(0.2),
            logit_bias: vec![(Token(15), 1.5), (Token(16), f32::NEG_INFINITY)],
            ignore_end: Some(true),
            order: Some(vec![SamplerKind::TopK, SamplerKind::Temperature]),
        };
        assert_eq!(options, Ok(expected));
        assert_eq!(parse("--dry-sequence-breaker none").unwrap().dry_breakers, Some(Vec::new()));
    }

    #[test]
    fn wrong_values_are_refused_with_what_is_expected() {
        for (line, words) in [
            ("-l 15", "expected a token number"),
            ("-l a+1", "not a token number"),
            ("-l 1+x", "not a number"),
            ("-l 1+inf", "out of range"),
            ("--samplers top_k;best", "unknown sampler `best`"),
            ("--mirostat 3", "expected 0, 1 or 2"),
            ("--repeat-last-n -2", "-2"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
