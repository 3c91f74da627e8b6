//! Sampling values as they are requested. [`SamplingParams`] explains each of them.

use super::limit::Limit;
use crate::engine::{Dry, Mirostat, MirostatVersion, Penalties, SamplerKind, SamplingParams, Token, Xtc};

/// Sampling values, all optional.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SamplingOptions {
    /// The temperature; zero is greedy.
    pub temperature: Option<f32>,
    /// Range of the dynamic temperature.
    pub temperature_range: Option<f32>,
    /// Exponent of the dynamic temperature.
    pub temperature_exponent: Option<f32>,
    /// Top-k; zero keeps all.
    pub top_k: Option<u32>,
    /// Top-p.
    pub top_p: Option<f32>,
    /// Min-p.
    pub min_p: Option<f32>,
    /// Typical-p.
    pub typical_p: Option<f32>,
    /// Top-n-sigma.
    pub top_n_sigma: Option<f32>,
    /// Tokens that the penalties look back on.
    pub repeat_last_n: Option<Limit>,
    /// Repeat penalty.
    pub repeat_penalty: Option<f32>,
    /// Presence penalty.
    pub presence_penalty: Option<f32>,
    /// Frequency penalty.
    pub frequency_penalty: Option<f32>,
    /// DRY: the penalty of a sequence just over the allowed length; zero turns DRY off.
    pub dry_multiplier: Option<f32>,
    /// DRY: base of the penalty.
    pub dry_base: Option<f32>,
    /// DRY: tokens that may be repeated freely.
    pub dry_allowed_length: Option<u32>,
    /// DRY: tokens to look back on.
    pub dry_last_n: Option<Limit>,
    /// DRY: texts that end a repetition.
    pub dry_breakers: Option<Vec<String>>,
    /// XTC: probability that it is applied; zero turns XTC off.
    pub xtc_probability: Option<f32>,
    /// XTC: minimum probability of a removable token.
    pub xtc_threshold: Option<f32>,
    /// Mirostat: which algorithm, if any.
    pub mirostat: Option<MirostatMode>,
    /// Mirostat: target surprise.
    pub mirostat_tau: Option<f32>,
    /// Mirostat: learning rate.
    pub mirostat_eta: Option<f32>,
    /// Added to the logits of these tokens, after the biases of the defaults.
    pub logit_bias: Vec<(Token, f32)>,
    /// Forbids the tokens that end an answer.
    pub ignore_end: Option<bool>,
    /// The samplers and their order.
    pub order: Option<Vec<SamplerKind>>,
}

/// Mirostat off, or one of its algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirostatMode {
    /// No mirostat; written as 0.
    Off,
    /// This algorithm; written as 1 or 2.
    On(MirostatVersion),
}

impl MirostatMode {
    /// The mode that llama.cpp writes as this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::On(MirostatVersion::V1)),
            2 => Some(Self::On(MirostatVersion::V2)),
            _ => None,
        }
    }

    /// The number that llama.cpp writes for it.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::On(MirostatVersion::V1) => 1,
            Self::On(MirostatVersion::V2) => 2,
        }
    }
}

impl SamplingOptions {
    /// Every value of these parameters. Seed, grammar and logprobs are not among them.
    #[must_use]
    pub fn of(params: &SamplingParams) -> Self {
        let SamplingParams {
            temperature,
            temperature_range,
            temperature_exponent,
            top_k,
            top_p,
            min_p,
            typical_p,
            top_n_sigma,
            penalties: Penalties { last, repeat, frequency, presence },
            dry,
            xtc,
            mirostat,
            logit_bias,
            ignore_end,
            order,
            grammar: _,
            seed: _,
            logprobs: _,
        } = params;
        let dry = dry.as_ref();
        Self {
            temperature: Some(*temperature),
            temperature_range: Some(*temperature_range),
            temperature_exponent: Some(*temperature_exponent),
            top_k: Some(*top_k),
            top_p: Some(*top_p),
            min_p: Some(*min_p),
            typical_p: Some(*typical_p),
            top_n_sigma: Some(*top_n_sigma),
            repeat_last_n: Some((*last).into()),
            repeat_penalty: Some(*repeat),
            presence_penalty: Some(*presence),
            frequency_penalty: Some(*frequency),
            dry_multiplier: dry.map(|dry| dry.multiplier),
            dry_base: dry.map(|dry| dry.base),
            dry_allowed_length: dry.map(|dry| dry.allowed_length),
            dry_last_n: dry.map(|dry| dry.last.into()),
            dry_breakers: dry.map(|dry| dry.breakers.clone()),
            xtc_probability: xtc.map(|xtc| xtc.probability),
            xtc_threshold: xtc.map(|xtc| xtc.threshold),
            mirostat: mirostat.map(|mirostat| MirostatMode::On(mirostat.version)),
            mirostat_tau: mirostat.map(|mirostat| mirostat.tau),
            mirostat_eta: mirostat.map(|mirostat| mirostat.eta),
            logit_bias: logit_bias.clone(),
            ignore_end: Some(*ignore_end),
            order: Some(order.clone()),
        }
    }

    /// Takes unset values from `defaults`.
    #[must_use]
    pub fn over(self, defaults: &Self) -> Self {
        Self {
            temperature: self.temperature.or(defaults.temperature),
            temperature_range: self.temperature_range.or(defaults.temperature_range),
            temperature_exponent: self.temperature_exponent.or(defaults.temperature_exponent),
            top_k: self.top_k.or(defaults.top_k),
            top_p: self.top_p.or(defaults.top_p),
            min_p: self.min_p.or(defaults.min_p),
            typical_p: self.typical_p.or(defaults.typical_p),
            top_n_sigma: self.top_n_sigma.or(defaults.top_n_sigma),
            repeat_last_n: self.repeat_last_n.or(defaults.repeat_last_n),
            repeat_penalty: self.repeat_penalty.or(defaults.repeat_penalty),
            presence_penalty: self.presence_penalty.or(defaults.presence_penalty),
            frequency_penalty: self.frequency_penalty.or(defaults.frequency_penalty),
            dry_multiplier: self.dry_multiplier.or(defaults.dry_multiplier),
            dry_base: self.dry_base.or(defaults.dry_base),
            dry_allowed_length: self.dry_allowed_length.or(defaults.dry_allowed_length),
            dry_last_n: self.dry_last_n.or(defaults.dry_last_n),
            dry_breakers: self.dry_breakers.or_else(|| defaults.dry_breakers.clone()),
            xtc_probability: self.xtc_probability.or(defaults.xtc_probability),
            xtc_threshold: self.xtc_threshold.or(defaults.xtc_threshold),
            mirostat: self.mirostat.or(defaults.mirostat),
            mirostat_tau: self.mirostat_tau.or(defaults.mirostat_tau),
            mirostat_eta: self.mirostat_eta.or(defaults.mirostat_eta),
            logit_bias: [defaults.logit_bias.as_slice(), &self.logit_bias].concat(),
            ignore_end: self.ignore_end.or(defaults.ignore_end),
            order: self.order.or_else(|| defaults.order.clone()),
        }
    }

    /// The parameters for the engine. Unset values have no effect.
    #[must_use]
    pub fn params(&self, seed: u32) -> SamplingParams {
        let neutral = SamplingParams::neutral(seed);
        let Penalties { last, repeat, frequency, presence } = neutral.penalties;
        SamplingParams {
            temperature: self.temperature.unwrap_or(neutral.temperature),
            temperature_range: self.temperature_range.unwrap_or(neutral.temperature_range),
            temperature_exponent: self.temperature_exponent.unwrap_or(neutral.temperature_exponent),
            top_k: self.top_k.unwrap_or(neutral.top_k),
            top_p: self.top_p.unwrap_or(neutral.top_p),
            min_p: self.min_p.unwrap_or(neutral.min_p),
            typical_p: self.typical_p.unwrap_or(neutral.typical_p),
            top_n_sigma: self.top_n_sigma.unwrap_or(neutral.top_n_sigma),
            penalties: Penalties {
                last: self.repeat_last_n.map_or(last, Limit::tokens),
                repeat: self.repeat_penalty.unwrap_or(repeat),
                frequency: self.frequency_penalty.unwrap_or(frequency),
                presence: self.presence_penalty.unwrap_or(presence),
            },
            dry: self.dry(),
            xtc: self.xtc(),
            mirostat: self.mirostat(),
            logit_bias: self.logit_bias.clone(),
            ignore_end: self.ignore_end.unwrap_or(neutral.ignore_end),
            order: self.order.clone().unwrap_or(neutral.order),
            ..SamplingParams::neutral(seed)
        }
    }

    fn dry(&self) -> Option<Dry> {
        let multiplier = self.dry_multiplier.filter(|multiplier| *multiplier != 0.0)?;
        let Dry { base, allowed_length, last, breakers, .. } = Dry::with_multiplier(multiplier);
        Some(Dry {
            multiplier,
            base: self.dry_base.unwrap_or(base),
            allowed_length: self.dry_allowed_length.unwrap_or(allowed_length),
            last: self.dry_last_n.map_or(last, Limit::tokens),
            breakers: self.dry_breakers.clone().unwrap_or(breakers),
        })
    }

    fn xtc(&self) -> Option<Xtc> {
        let probability = self.xtc_probability.filter(|probability| *probability != 0.0)?;
        let Xtc { threshold, .. } = Xtc::with_probability(probability);
        Some(Xtc { probability, threshold: self.xtc_threshold.unwrap_or(threshold) })
    }

    fn mirostat(&self) -> Option<Mirostat> {
        let MirostatMode::On(version) = self.mirostat? else { return None };
        let Mirostat { tau, eta, .. } = Mirostat::new(version);
        let (tau, eta) = (self.mirostat_tau.unwrap_or(tau), self.mirostat_eta.unwrap_or(eta));
        Some(Mirostat { version, tau, eta })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_neutral() {
        assert_eq!(SamplingOptions::default().params(7), SamplingParams::neutral(7));
    }

    #[test]
    fn parameters_come_back_from_their_options() {
        let params = SamplingParams {
            temperature: 0.6,
            top_k: 20,
            penalties: Penalties { last: None, repeat: 1.1, frequency: 0.5, presence: -1.0 },
            dry: Some(Dry { last: Some(64), breakers: Vec::new(), ..Dry::with_multiplier(0.8) }),
            xtc: Some(Xtc { probability: 0.5, threshold: 0.2 }),
            mirostat: Some(Mirostat { version: MirostatVersion::V1, tau: 4.0, eta: 0.2 }),
            logit_bias: vec![(Token(15), 1.5)],
            ignore_end: true,
            order: vec![SamplerKind::TopK],
            ..SamplingParams::neutral(3)
        };
        assert_eq!(SamplingOptions::of(&params).params(3), params);
        assert_eq!(SamplingOptions::default().over(&SamplingOptions::of(&params)).params(3), params);
    }

    #[test]
    fn parts_of_a_sampler_hold_from_when_it_is_on() {
        let defaults = SamplingOptions {
            xtc_threshold: Some(0.3),
            dry_base: Some(2.0),
            mirostat_tau: Some(4.0),
            ..SamplingOptions::default()
        };
        let params = defaults.params(0);
        assert_eq!((params.xtc, params.dry, params.mirostat), (None, None, None));
        let on = SamplingOptions {
            xtc_probability: Some(0.5),
            dry_multiplier: Some(0.8),
            mirostat: Some(MirostatMode::On(MirostatVersion::V2)),
            ..SamplingOptions::default()
        };
        let params = on.over(&defaults).params(0);
        assert_eq!(params.xtc, Some(Xtc { probability: 0.5, threshold: 0.3 }));
        assert_eq!(params.dry.map(|dry| dry.base), Some(2.0));
        assert_eq!(params.mirostat.map(|mirostat| (mirostat.tau, mirostat.eta)), Some((4.0, 0.1)));
    }

    #[test]
    fn a_sampler_of_the_defaults_can_be_turned_off() {
        let defaults = SamplingOptions {
            xtc_probability: Some(0.5),
            dry_multiplier: Some(0.8),
            mirostat: Some(MirostatMode::On(MirostatVersion::V2)),
            repeat_last_n: Some(Limit::Tokens(5)),
            ..SamplingOptions::default()
        };
        let off = SamplingOptions {
            xtc_probability: Some(0.0),
            dry_multiplier: Some(0.0),
            mirostat: Some(MirostatMode::Off),
            repeat_last_n: Some(Limit::Unlimited),
            ..SamplingOptions::default()
        };
        let params = off.over(&defaults).params(0);
        assert_eq!((params.xtc, params.dry, params.mirostat), (None, None, None));
        assert_eq!(params.penalties.last, None);
    }
}
