//! Options for scaling positions. llama.cpp's names and meaning.

use clap::ValueEnum;
use ggrun::model::{Rope, RopeScaling};

/// Options for scaling positions; unset ones keep the model's values.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Context scaling")]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct RopeArgs {
    /// Scale rotary positions by this method, instead of the model's
    #[arg(
        long,
        value_enum,
        value_name = "METHOD",
        env = "LLAMA_ARG_ROPE_SCALING_TYPE",
        hide_short_help = true
    )]
    rope_scaling: Option<Method>,
    /// Stretch the context to N times its length: --rope-freq-scale 1/N
    #[arg(long, value_name = "N", value_parser = positive, env = "LLAMA_ARG_ROPE_SCALE",
        conflicts_with = "rope_freq_scale", hide_short_help = true)]
    rope_scale: Option<f32>,
    /// Set the base frequency of rotary positions
    #[arg(long, value_name = "X", value_parser = positive, env = "LLAMA_ARG_ROPE_FREQ_BASE", hide_short_help = true)]
    rope_freq_base: Option<f32>,
    /// Multiply the frequencies of rotary positions by this
    #[arg(long, value_name = "X", value_parser = positive, env = "LLAMA_ARG_ROPE_FREQ_SCALE", hide_short_help = true)]
    rope_freq_scale: Option<f32>,
    /// YaRN: set the context that the model was trained on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..),
        env = "LLAMA_ARG_YARN_ORIG_CTX", hide_short_help = true)]
    yarn_orig_ctx: Option<u32>,
    /// YaRN: set the extrapolation mix factor; 0 only interpolates
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true,
        env = "LLAMA_ARG_YARN_EXT_FACTOR", hide_short_help = true)]
    yarn_ext_factor: Option<f32>,
    /// YaRN: multiply the attention magnitude by this
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true,
        env = "LLAMA_ARG_YARN_ATTN_FACTOR", hide_short_help = true)]
    yarn_attn_factor: Option<f32>,
    /// YaRN: set the high correction dimension
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true,
        env = "LLAMA_ARG_YARN_BETA_SLOW", hide_short_help = true)]
    yarn_beta_slow: Option<f32>,
    /// YaRN: set the low correction dimension
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true,
        env = "LLAMA_ARG_YARN_BETA_FAST", hide_short_help = true)]
    yarn_beta_fast: Option<f32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
enum Method {
    /// No scaling
    None,
    /// Scale all frequencies equally
    Linear,
    /// YaRN
    Yarn,
}

impl RopeArgs {
    pub(super) fn rope(&self) -> Rope {
        Rope {
            scaling: self.rope_scaling.map(|method| match method {
                Method::None => RopeScaling::None,
                Method::Linear => RopeScaling::Linear,
                Method::Yarn => RopeScaling::Yarn,
            }),
            freq_base: self.rope_freq_base,
            freq_scale: self.rope_scale.map(|factor| 1.0 / factor).or(self.rope_freq_scale),
            yarn_orig_ctx: self.yarn_orig_ctx,
            yarn_ext_factor: self.yarn_ext_factor,
            yarn_attn_factor: self.yarn_attn_factor,
            yarn_beta_fast: self.yarn_beta_fast,
            yarn_beta_slow: self.yarn_beta_slow,
        }
    }
}

fn finite(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite());
    number.ok_or_else(|| "expected a number".to_owned())
}

fn positive(text: &str) -> Result<f32, String> {
    let number = finite(text).ok().filter(|number| *number > 0.0 && (1.0 / number).is_finite());
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        rope: RopeArgs,
    }

    fn parse(line: &str) -> Result<Rope, clap::Error> {
        Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace())).map(|line| line.rope.rope())
    }

    #[test]
    fn every_option_reaches_its_field() {
        assert_eq!(parse("").unwrap(), Rope::default());
        let rope = parse(
            "--rope-scaling yarn --rope-scale 4 --rope-freq-base 1e6 --yarn-orig-ctx 32768 --yarn-ext-factor -1 \
             --yarn-attn-factor 1.5 --yarn-beta-slow 2 --yarn-beta-fast 16",
        );
        let expected = Rope {
            scaling: Some(RopeScaling::Yarn),
            freq_base: Some(1e6),
            freq_scale: Some(0.25),
            yarn_orig_ctx: Some(32768),
            yarn_ext_factor: Some(-1.0),
            yarn_attn_factor: Some(1.5),
            yarn_beta_fast: Some(16.0),
            yarn_beta_slow: Some(2.0),
        };
        assert_eq!(rope.unwrap(), expected);
        assert_eq!(parse("--rope-freq-scale 0.5").unwrap().freq_scale, Some(0.5));
    }

    #[test]
    fn what_divides_by_zero_is_refused() {
        for line in [
            "--rope-scale 0",
            "--rope-scale -1",
            "--rope-freq-scale 0",
            "--rope-freq-base nan",
            "--yarn-orig-ctx 0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
