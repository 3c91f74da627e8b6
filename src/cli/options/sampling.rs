//! How tokens are chosen, as it is typed: llama.cpp's options, for every command that generates.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use ggrun::engine::{
    Dry, Grammar, Mirostat, MirostatVersion, Rules, SamplerKind, SamplingParams, Token, Xtc,
};
use ggrun::model::Model;

/// How tokens are chosen; what is not said is as the file advises.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct Sampling {
    /// Temperature; 0 takes the likeliest token [default: what the file advises].
    #[arg(
        long,
        value_name = "X",
        alias = "temperature",
        allow_negative_numbers = true,
        env = "LLAMA_ARG_TEMP"
    )]
    temp: Option<f32>,
    /// Let the temperature follow the entropy, up to this far from it; 0 does not.
    #[arg(long, value_name = "X")]
    dynatemp_range: Option<f32>,
    /// The exponent of that.
    #[arg(long, value_name = "X")]
    dynatemp_exp: Option<f32>,
    /// Choose among this many of the likeliest tokens; 0 is all.
    #[arg(long, value_name = "N", env = "LLAMA_ARG_TOP_K")]
    top_k: Option<u32>,
    /// Choose among the likeliest tokens up to this probability; 1 is all.
    #[arg(long, value_name = "X", env = "LLAMA_ARG_TOP_P")]
    top_p: Option<f32>,
    /// Leave out tokens less likely than this share of the likeliest; 0 is none.
    #[arg(long, value_name = "X", env = "LLAMA_ARG_MIN_P")]
    min_p: Option<f32>,
    /// Choose among tokens of typical surprise up to this probability; 1 is all.
    #[arg(long, value_name = "X", alias = "typical-p")]
    typical: Option<f32>,
    /// Choose among logits within so many standard deviations of the largest; -1 is all.
    #[arg(long, value_name = "X", alias = "top-n-sigma", allow_negative_numbers = true)]
    top_nsigma: Option<f32>,
    /// How often the likeliest tokens are left out (XTC); 0 is never.
    #[arg(long, value_name = "X")]
    xtc_probability: Option<f32>,
    /// Above which probability they are.
    #[arg(long, value_name = "X")]
    xtc_threshold: Option<f32>,
    /// Tokens that the penalties look back on; -1 is all, 0 none.
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    repeat_last_n: Option<i64>,
    /// Divides the logits of tokens that were used; 1 does nothing.
    #[arg(long, value_name = "X")]
    repeat_penalty: Option<f32>,
    /// Taken off the logits of tokens that were used.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    presence_penalty: Option<f32>,
    /// Taken off for each use.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    frequency_penalty: Option<f32>,
    /// Strength of the penalty on repeated sequences (DRY); 0 is none.
    #[arg(long, value_name = "X")]
    dry_multiplier: Option<f32>,
    /// Its growth for each further token.
    #[arg(long, value_name = "X")]
    dry_base: Option<f32>,
    /// Tokens that may be repeated freely.
    #[arg(long, value_name = "N")]
    dry_allowed_length: Option<u32>,
    /// Tokens that DRY looks back on; -1 is all, 0 none.
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    dry_penalty_last_n: Option<i64>,
    /// A text that no repetition goes across, instead of the usual ones; may be given more than once; none is no
    /// such text.
    #[arg(long, value_name = "TEXT")]
    dry_sequence_breaker: Vec<String>,
    /// Hold the surprise at a level: 1 or 2 are the versions of mirostat, 0 does not.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=2))]
    mirostat: Option<u8>,
    /// How fast mirostat corrects itself.
    #[arg(long, value_name = "X")]
    mirostat_lr: Option<f32>,
    /// The surprise mirostat aims at.
    #[arg(long, value_name = "X")]
    mirostat_ent: Option<f32>,
    /// Add to the logit of a token: 15043+1, or 15043-inf to forbid it; may be given more than once.
    #[arg(short, long, value_name = "TOKEN(+/-)BIAS", value_parser = bias)]
    logit_bias: Vec<(i32, f32)>,
    /// Forbid the tokens that end an answer.
    #[arg(long)]
    ignore_eos: bool,
    /// The steps and their order, parted by `;`.
    #[arg(long, value_name = "NAMES", value_parser = order)]
    samplers: Option<Order>,
    /// Start of the random numbers; -1 chooses one [default: -1].
    #[arg(short, long, value_name = "N", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    seed: Option<i64>,
    /// Rules that the answer keeps to (GBNF).
    #[arg(long, value_name = "RULES", group = "rules")]
    grammar: Option<String>,
    /// The same from a file.
    #[arg(long, value_name = "FILE", group = "rules")]
    grammar_file: Option<PathBuf>,
    /// A JSON schema that the answer keeps to.
    #[arg(short, long, value_name = "SCHEMA", group = "rules")]
    json_schema: Option<String>,
    /// The same from a file (also -jf).
    #[arg(long, value_name = "FILE", group = "rules")]
    json_schema_file: Option<PathBuf>,
}

/// The steps of choosing in order; a type of its own, or clap would take it for a list of options.
type Order = std::sync::Arc<[SamplerKind]>;

impl Sampling {
    /// What was typed on top of what the model's file advises.
    pub(crate) fn params(&self, model: &Model) -> anyhow::Result<SamplingParams> {
        self.over(model.sampling(self.seed().unwrap_or_else(chance)))
    }

    /// The seed, if one was typed.
    pub(crate) fn seed(&self) -> Option<u32> {
        self.seed.and_then(|seed| u32::try_from(seed).ok())
    }

    /// What was typed on top of other parameters.
    pub(crate) fn over(&self, mut params: SamplingParams) -> anyhow::Result<SamplingParams> {
        fn set<T: Copy>(value: &mut T, typed: Option<T>) {
            *value = typed.unwrap_or(*value);
        }
        set(&mut params.temperature, self.temp);
        set(&mut params.temperature_range, self.dynatemp_range);
        set(&mut params.temperature_exponent, self.dynatemp_exp);
        set(&mut params.top_k, self.top_k);
        set(&mut params.top_p, self.top_p);
        set(&mut params.min_p, self.min_p);
        set(&mut params.typical_p, self.typical);
        set(&mut params.top_n_sigma, self.top_nsigma);
        set(&mut params.penalties.last, self.repeat_last_n.map(|n| u32::try_from(n).ok()));
        set(&mut params.penalties.repeat, self.repeat_penalty);
        set(&mut params.penalties.presence, self.presence_penalty);
        set(&mut params.penalties.frequency, self.frequency_penalty);
        params.ignore_end |= self.ignore_eos;
        params.logit_bias.extend(self.logit_bias.iter().map(|&(token, bias)| (Token(token), bias)));
        if let Some(order) = &self.samplers {
            params.order = order.to_vec();
        }
        params.xtc = self.xtc(params.xtc);
        params.dry = self.dry(params.dry);
        params.mirostat = self.mirostat(params.mirostat);
        if let Some(rules) = self.rules()? {
            params.grammar = Some(Grammar { rules, after: None });
        }
        Ok(params)
    }

    fn xtc(&self, advised: Option<Xtc>) -> Option<Xtc> {
        let base = advised.unwrap_or(Xtc { probability: 0.0, threshold: 0.1 });
        let probability = self.xtc_probability.unwrap_or(base.probability);
        let threshold = self.xtc_threshold.unwrap_or(base.threshold);
        (probability != 0.0).then_some(Xtc { probability, threshold })
    }

    fn dry(&self, advised: Option<Dry>) -> Option<Dry> {
        let mut dry = advised.unwrap_or_else(|| Dry::with_multiplier(0.0));
        dry.multiplier = self.dry_multiplier.unwrap_or(dry.multiplier);
        dry.base = self.dry_base.unwrap_or(dry.base);
        dry.allowed_length = self.dry_allowed_length.unwrap_or(dry.allowed_length);
        dry.last = self.dry_penalty_last_n.map_or(dry.last, |n| u32::try_from(n).ok());
        if !self.dry_sequence_breaker.is_empty() {
            let texts = self.dry_sequence_breaker.iter().filter(|text| *text != "none");
            dry.breakers = texts.cloned().collect();
        }
        (dry.multiplier != 0.0).then_some(dry)
    }

    fn mirostat(&self, advised: Option<Mirostat>) -> Option<Mirostat> {
        let version = match self.mirostat {
            None => advised?.version,
            Some(1) => MirostatVersion::V1,
            Some(2) => MirostatVersion::V2,
            Some(_) => return None,
        };
        let (tau, eta) = advised.map_or((5.0, 0.1), |mirostat| (mirostat.tau, mirostat.eta));
        let (tau, eta) = (self.mirostat_ent.unwrap_or(tau), self.mirostat_lr.unwrap_or(eta));
        Some(Mirostat { version, tau, eta })
    }

    fn rules(&self) -> anyhow::Result<Option<Rules>> {
        let read = |path: &PathBuf| {
            fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        Ok(match self {
            Self { grammar: Some(text), .. } => Some(Rules::Gbnf(text.clone())),
            Self { grammar_file: Some(path), .. } => Some(Rules::Gbnf(read(path)?)),
            Self { json_schema: Some(text), .. } => Some(Rules::JsonSchema(text.clone())),
            Self { json_schema_file: Some(path), .. } => Some(Rules::JsonSchema(read(path)?)),
            _ => None,
        })
    }
}

fn bias(typed: &str) -> anyhow::Result<(i32, f32)> {
    let at = typed.find(['+', '-']).context("expected a token's number, `+` or `-`, and a bias")?;
    let (token, bias) = typed.split_at(at);
    let bias: f32 = bias.parse().with_context(|| format!("`{bias}` is not a number"))?;
    if bias.is_nan() || bias == f32::INFINITY {
        bail!("`{bias}` is no bias, expected a number or -inf");
    }
    Ok((token.parse().with_context(|| format!("`{token}` is not the number of a token"))?, bias))
}

fn order(typed: &str) -> anyhow::Result<Order> {
    let names = typed.split(';').map(str::trim).filter(|name| !name.is_empty());
    let kinds = names.map(|name| {
        SamplerKind::named(name).with_context(|| {
            let known = SamplerKind::DEFAULT_ORDER.map(SamplerKind::name).join(";");
            format!("there is no step `{name}`, expected some of {known}")
        })
    });
    kinds.collect()
}

/// A number nobody chose: the keys of a hash map are random for every process.
fn chance() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    let number = RandomState::new().hash_one(std::process::id());
    u32::try_from(number >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sampling: Sampling,
    }

    fn parse(line: &str) -> SamplingParams {
        let line = Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace())).unwrap();
        line.sampling.over(SamplingParams { temperature: 0.6, ..SamplingParams::neutral(7) }).unwrap()
    }

    #[test]
    fn what_is_not_typed_stays_as_advised() {
        assert_eq!(parse(""), SamplingParams { temperature: 0.6, ..SamplingParams::neutral(7) });
    }

    #[test]
    fn every_option_has_its_effect() {
        let params = parse(
            "--temp 0 --dynatemp-range 0.5 --dynatemp-exp 2 --top-k 5 --top-p 0.5 --min-p 0.1 --typical 0.9 \
             --top-nsigma -1 --xtc-probability 0.5 --xtc-threshold 0.2 --repeat-last-n -1 --repeat-penalty 1.1 \
             --presence-penalty -1 --frequency-penalty 0.5 --dry-multiplier 0.8 --dry-base 2 \
             --dry-allowed-length 3 --dry-penalty-last-n 64 --dry-sequence-breaker a --dry-sequence-breaker b \
             --mirostat 2 --mirostat-lr 0.2 --mirostat-ent 4 -l 15+1.5 --logit-bias 16-inf --ignore-eos \
             --samplers top_k;temperature --json-schema {}",
        );
        let expected = SamplingParams {
            temperature: 0.0,
            temperature_range: 0.5,
            temperature_exponent: 2.0,
            top_k: 5,
            top_p: 0.5,
            min_p: 0.1,
            typical_p: 0.9,
            top_n_sigma: -1.0,
            penalties: ggrun::engine::Penalties { last: None, repeat: 1.1, frequency: 0.5, presence: -1.0 },
            dry: Some(Dry {
                base: 2.0,
                allowed_length: 3,
                last: Some(64),
                breakers: vec!["a".into(), "b".into()],
                ..Dry::with_multiplier(0.8)
            }),
            xtc: Some(Xtc { probability: 0.5, threshold: 0.2 }),
            mirostat: Some(Mirostat { version: MirostatVersion::V2, tau: 4.0, eta: 0.2 }),
            logit_bias: vec![(Token(15), 1.5), (Token(16), f32::NEG_INFINITY)],
            ignore_end: true,
            grammar: Some(Grammar { rules: Rules::JsonSchema("{}".into()), after: None }),
            order: vec![SamplerKind::TopK, SamplerKind::Temperature],
            seed: 7,
            logprobs: None,
        };
        assert_eq!(params, expected);
    }

    #[test]
    fn nonsense_is_refused_with_what_is_expected() {
        for (line, words) in [
            ("-l 15", "expected a token's number"),
            ("-l a+1", "not the number of a token"),
            ("-l 1+x", "not a number"),
            ("-l 1+inf", "no bias"),
            ("--samplers top_k;best", "there is no step `best`"),
            ("--mirostat 3", "3"),
            ("--repeat-last-n -2", "-2"),
            ("--grammar a --json-schema b", "cannot be used with"),
        ] {
            let error =
                Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
